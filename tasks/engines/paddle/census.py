"""Counts a program's operators and says how much of its compute INT8 can reach on x86."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from paddle_int8.tasks.contracts.artifacts import OperatorCensus

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Program

CONVOLUTIONS = frozenset({"conv2d", "depthwise_conv2d"})
"""Convolutions with an INT8 path, by their names before fusion."""
QUANTIZABLE = CONVOLUTIONS | frozenset(
    {
        "fused_conv2d",
        "mul",
        "matmul",
        "matmul_v2",
        "fused_matmul",
        "fc",
        "gru",
        "lstm",
        "fusion_gru",
        "fusion_lstm",
        "multi_gru",
    }
)
"""Compute operators for which Paddle 2.6 has an INT8 path through oneDNN."""

RECURRENT = (
    "oneDNN runs it in FP32 only; the layout `recurrent` rewrites paddle.nn.LSTM, anything else must be "
    "exported with the legacy operators gru or lstm"
)
NO_PASS = "Paddle has no INT8 pass for it: it stays FP32"
NEVER = {
    "rnn": RECURRENT,
    "cudnn_lstm": RECURRENT,
    "gru_unit": RECURRENT,
    "lstm_unit": RECURRENT,
    "lstmp": RECURRENT,
    "while": "its body is not optimized, so nothing in it is quantized: unroll the loop before export",
    "conv2d_transpose": NO_PASS,
    "conv3d": NO_PASS,
    "conv3d_transpose": NO_PASS,
    "depthwise_conv2d_transpose": NO_PASS,
    "deformable_conv": NO_PASS,
    "deformable_conv_v1": NO_PASS,
    "bmm": "Paddle's INT8 passes know matmul_v2 only: write the product with paddle.matmul",
    "mv": "Paddle's INT8 passes know matmul_v2 only: write the product with paddle.matmul",
    "addmm": "Paddle's INT8 passes know matmul_v2 only: write it as paddle.matmul and an addition",
    "einsum": "Paddle's INT8 passes know matmul_v2 only: write the product with paddle.matmul",
    "fused_multi_transformer": "a GPU fusion: export the model without it",
    "fused_attention": "a GPU fusion: export the model without it",
    "fused_feedforward": "a GPU fusion: export the model without it",
    "flash_attn": "a GPU fusion: export the model without it",
}
"""Compute operators that never run in INT8, with the reason."""


def census(program: Program) -> OperatorCensus:
    """The census of a `paddle.static.Program`, over all of its blocks."""
    first, *bodies = ([op.type for op in block.ops] for block in program.blocks)
    return count_operators(first, [name for body in bodies for name in body])


def count_operators(types: Iterable[str], bodies: Iterable[str] = ()) -> OperatorCensus:
    """The census of operators, given by type. Those in loops and branches are in `bodies`.

    Feed and fetch are not counted.
    """
    inner = Counter(bodies)
    counts = Counter(name for name in types if name not in ("feed", "fetch")) + inner
    never = {name: reason for name, reason in NEVER.items() if counts[name]}
    quantizable = sum(counts[name] for name in QUANTIZABLE)
    return OperatorCensus(
        counts=dict(sorted(counts.items())),
        quantizable=quantizable,
        compute=quantizable + sum(counts[name] for name in never),
        never=never,
        nested=sum(inner[name] for name in QUANTIZABLE),
    )
