"""Weights of a QDQ program as INT8, which is how Paddle's predictor tells a quantized weight.

Isolated process only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.conversion.signed_residuals import S8_MAX
from tasks.model.blocks import store, value

if TYPE_CHECKING:
    from tasks.model.program import LoadedProgram

INTEGERS = "store_integer_weights"


def store_integer_weights(loaded: LoadedProgram) -> int:
    """Stores weights as INT8 that an export kept as FP32 numbers from -127 to 127. Returns how many.

    `paddle.quantization` (`PTQ`, `QAT`) exports them so. At load `quant_dequant_mkldnn_pass` gives only INT8
    weights their scales back; the others are multiplied as they are, 127 times too large and more.
    """
    block, count = loaded.program.global_block(), 0
    for op in [op for op in block.ops if op.type == "dequantize_linear"]:
        name = op.input("X")[0]
        stored = loaded.scope.find_var(name)
        if stored is None or not block.var(name).persistable:
            continue
        weight = value(loaded, name)
        if weight.dtype == np.int8 or np.abs(weight).max(initial=0) > S8_MAX or (weight % 1).any():
            continue
        store(loaded, name, weight.astype(np.int8))
        count += 1
    return count
