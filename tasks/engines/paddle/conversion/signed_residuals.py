"""Corrects the scales of residual sums whose INT8 type the predictor of `qdq` gets wrong.

Isolated process only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.blocks import overwrite, value
from paddle_int8.tasks.engines.paddle.rewrites.repairs import ANY_CONVOLUTION
from paddle_int8.tasks.engines.paddle.rewrites.signs import QUANT_PAIR, RECTIFIERS, unsigned_tensors

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

S8_MAX, U8_MAX = 127.0, 255.0
FUSED_INTO_CONVOLUTION = QUANT_PAIR | {"batch_norm", "elementwise_add"}


def widen_signed_residual_sums(loaded: LoadedProgram) -> int:
    """Doubles the threshold of relu(convolution + residual) where the residual may be negative.

    Paddle fuses the sum and the ReLU into the convolution and computes the output's scale for the unsigned
    type, 255 steps; the kernel then writes the residual's own type, which is signed, and clips at step 127:
    half of the calibrated range. With the threshold times 255 / 127 the scale fits what is written. A
    network that projects its shortcuts (every ResNet) has such a sum in each stage.
    Returns how many sums there were.
    Source: `GetDstType` of conv_onednn_kernel.cc and `QuantizeConv` of cpu_quantize_pass.cc, Paddle 2.6.
    """
    import numpy

    block = loaded.program.global_block()
    sums = _signed_sums(block)
    scales = {
        op.input("Scale")[0] for op in block.ops if op.type == "quantize_linear" and op.input("X")[0] in sums
    }  # several operators may read one sum, and share its threshold
    for name in scales:
        overwrite(loaded, name, (value(loaded, name) * (U8_MAX / S8_MAX)).astype(numpy.float32))
    return len(scales)


def _signed_sums(block: Block) -> set[str]:
    """Outputs of a ReLU over the sum of a convolution and a residual, neither of them rectified."""
    writers = {name: op for op in block.ops for name in op.output_arg_names}
    unsigned = unsigned_tensors(block, fused=False)
    return {
        op.output("Out")[0]
        for op in block.ops
        if op.type in RECTIFIERS
        and _adds_signed(block, writers, unsigned, _written_by(writers, op.input("X")[0], QUANT_PAIR))
    }


def _adds_signed(
    block: Block, writers: Mapping[str, Operator], unsigned: set[str], add: Operator | None
) -> bool:
    if add is None or add.type != "elementwise_add":
        return False
    terms = add.input("X") + add.input("Y")
    if any(name in unsigned or block.var(name).persistable for name in terms):
        return False
    sources = [_written_by(writers, name, FUSED_INTO_CONVOLUTION) for name in terms]
    return any(source is not None and source.type in ANY_CONVOLUTION for source in sources)


def _written_by(writers: Mapping[str, Operator], name: str, through: frozenset[str]) -> Operator | None:
    """The operator that computes `name`, looking through those in `through` along their first input."""
    writer = writers.get(name)
    while writer is not None and writer.type in through:
        writer = writers.get(writer.input("X")[0])
    return writer
