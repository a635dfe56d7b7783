"""Finds the tensors of a `qdq` program that are read as bytes. Isolated process only.

PaddleSlim quantizes every input of the operators that it knows. The predictor removes each pair of
`quantize_linear` and `dequantize_linear`, and quantizes only for operators that have an INT8 kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.conversion.data_movement import MOVING, TAKING_INT8
from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import is_kept_fp32
from paddle_int8.tasks.engines.paddle.rewrites.signs import QUANT_PAIR

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, Operator


def stored_tensors(block: Block) -> set[str]:
    """The parameters, and what a pair of quantizers makes of them."""
    stored = {name for name in block.vars if block.var(name).persistable}
    for op in block.ops:
        if op.type in QUANT_PAIR and op.input("X")[0] in stored:
            stored.update(op.output("Y"))
    return stored


def quantized_sources(block: Block) -> dict[str, str]:
    """The tensor in front of each pair of quantizers, by the name of the tensor that the pair writes."""
    sources: dict[str, str] = {}
    for op in block.ops:
        if op.type in QUANT_PAIR and not block.var(op.input("X")[0]).persistable:
            (source,) = op.input("X")
            sources[op.output("Y")[0]] = sources.get(source, source)
    return sources


def read_as_bytes(block: Block) -> dict[str, list[Operator]]:
    """The operators that read a tensor quantized and have an INT8 kernel, by tensor."""
    sources = quantized_sources(block)
    found: dict[str, list[Operator]] = {}
    for op in block.ops:
        if op.type in TAKING_INT8 | MOVING and not is_kept_fp32(op):
            for name in op.input_arg_names:
                if name in sources:
                    found.setdefault(sources[name], []).append(op)
    return found
