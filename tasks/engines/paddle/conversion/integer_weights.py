"""Stores the weights of a QDQ program as INT8, by which Paddle's predictor recognises quantized weights.

Isolated process only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.engines.paddle.blocks import put_parameter, value
from paddle_int8.tasks.engines.paddle.conversion.signed_residuals import S8_MAX

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram

INTEGERS = "store_integer_weights"


def store_integer_weights(loaded: LoadedProgram) -> int:
    """Stores weights as INT8 that an export kept as FP32 numbers from -127 to 127. Returns how many.

    `paddle.quantization` (`PTQ`, `QAT`) exports them so. At load `quant_dequant_mkldnn_pass` applies scales
    to INT8 weights only. The others are multiplied as they are, 127 times too large or more.
    """
    names = integers_in_fp32(loaded)
    for name in names:
        put_parameter(loaded, name, value(loaded, name).astype(np.int8))
    return len(names)


def integers_in_fp32(loaded: LoadedProgram) -> list[str]:
    """Names of the quantized weights that are stored as floating-point numbers."""
    block = loaded.program.global_block()
    read = dict.fromkeys(op.input("X")[0] for op in block.ops if op.type == "dequantize_linear")
    stored = [
        name for name in read if block.var(name).persistable and loaded.scope.find_var(name) is not None
    ]
    return [name for name in stored if _are_integers(value(loaded, name))]


def _are_integers(weight: Array) -> bool:
    if weight.dtype.kind != "f":
        return False
    return bool(np.abs(weight).max(initial=0) <= S8_MAX and not (weight % 1).any())
