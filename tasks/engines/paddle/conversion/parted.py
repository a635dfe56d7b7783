"""Tensors of which INT8 reads a copy, so that FP32 keeps a tensor of its own. Isolated process only.

A copy has the scale of what it is of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from paddle_int8.tasks.engines.paddle.blocks import readers, writer
from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS
from paddle_int8.tasks.engines.paddle.conversion.data_movement import is_mean
from paddle_int8.tasks.engines.paddle.conversion.quantized_reads import quantized_sources, read_as_bytes
from paddle_int8.tasks.engines.paddle.form import DATA_TYPE, DEQUANTIZE, QUANTIZE
from paddle_int8.tasks.engines.paddle.private.operators import set_input
from paddle_int8.tasks.engines.paddle.rewrites.fences import CONVOLVED, fence, is_laid_out, writers
from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import is_kept_fp32
from paddle_int8.tasks.engines.paddle.rewrites.signs import CONCAT, LAYERS, SCALE_KEEPING

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, Operator, Program

PARTED_MEANS, PARTED_CONCATENATIONS = "part_means", "part_concatenations"
PARTED_SATURATED, STRAIGHTENED = "part_saturated", "straighten_convolved"
SATURATING = frozenset({"relu6", "clip", "hard_sigmoid", "hard_swish", "sigmoid", "tanh"})
"""Activations that make little of large values, so that the steps of the small ones count."""


def part_means(program: Program) -> int:
    """Has what quantizes an FP32 mean read a copy, for `qdq`, whose predictor gives the mean the scale of its
    input whether it is in INT8 or not. Returns how many copies there are.
    """
    block = program.global_block()
    means = [name for op in block.ops if is_mean(op) and is_kept_fp32(op) for name in op.output("Out")]
    return len([copy for name in means if (copy := _part(block, name))])


def part_concatenations(program: Program) -> int:
    """Has what quantizes an FP32 concatenation read a copy where its inputs are quantized for others too.

    For `qdq`, whose predictor gives the inputs of a concatenation the scale of its result, if that has one,
    whether it is in INT8 or not. Returns how many copies there are.
    """
    block = program.global_block()
    sources = quantized_sources(block)
    given = set(read_as_bytes(block))
    joined: dict[str, None] = {}
    for op in block.ops:
        inputs = {sources.get(name, name) for name in op.input_arg_names}
        joins = op.type == CONCAT and is_kept_fp32(op) and not given.isdisjoint(inputs)
        if joins or (op.type in SCALE_KEEPING | {CONCAT} and not inputs.isdisjoint(joined)):
            joined.update(dict.fromkeys(op.output("Out")))
    return len([copy for name in joined if name in given and (copy := _part(block, name))])


def part_saturated(program: Program, scales: Mapping[str, float]) -> dict[str, float]:
    """Has INT8 layers read a copy of a layer's result that a saturating function reads too, for `offline`.

    Else the layer writes bytes for all its readers. Of the scale that its whole range needs a function that
    cuts most of it off is left with few steps, which calibration did not see. `program` is fused: what reads
    alone is part of the layer.
    scales: see `keep_data_movement_fp32`. Returns those of the copies.
    """
    block = program.global_block()
    found = {}
    for name in _saturated(block):
        for op in readers(block, name):
            if op.type in LAYERS | SCALE_KEEPING and not is_kept_fp32(op):
                copy = fence(block, op, name)
                if name in scales:
                    found[copy] = scales[name]
    return found


def part_saturated_quantized(program: Program) -> int:
    """As `part_saturated`, for `qdq`. Returns how many copies there are."""
    block = program.global_block()
    sources = quantized_sources(block)
    saturating: dict[str, list[Any]] = {}
    for op in block.ops:
        if op.type in SATURATING and op.input("X")[0] in sources:
            saturating.setdefault(sources[op.input("X")[0]], []).append(op)
    copies = 0
    for name, reading in read_as_bytes(block).items():
        if name in saturating and any(op.type in LAYERS | SCALE_KEEPING for op in reading):
            copies += bool(_part(block, name))
            for op in saturating[name]:
                set_input(op, "X", [name])
    return copies


def straighten_convolved(program: Program) -> int:
    """Has what quantizes the result of an FP32 convolution read a copy, in either layout.

    Such a convolution may write blocks of channels, and the kernel that quantizes takes their strides for
    those of dimensions: the predictor dies, "could not construct a memory descriptor using strides". Which
    convolutions do depends on their channels and on the instruction set. The predictor of `qdq` quantizes in
    front of operators that keep the scale, such as reshaping, where their results are quantized.
    Returns how many copies there are.
    """
    block = program.global_block()
    written = writers(block)
    dequantized = {name for op in block.ops if op.type == DEQUANTIZE for name in op.output("Y")}

    def lays_out(op: Operator) -> bool:
        if op.type not in CONVOLVED:
            return False
        int8 = op.has_attr(DATA_TYPE) and op.attr(DATA_TYPE) == "int8"
        return not int8 and (op.type not in CONVOLUTIONS or dequantized.isdisjoint(op.input("Input")))

    quantizing = [op for op in block.ops if op.type == "quantize"]
    found = [op for op in quantizing if is_laid_out(written, op.input("Input")[0], lays_out)]
    for op in found:
        fence(block, op, op.input("Input")[0])
    names = [name for name in read_as_bytes(block) if is_laid_out(written, name, lays_out, SCALE_KEEPING)]
    return len(found) + len([copy for name in names if (copy := _part(block, name))])


def _part(block: Block, name: str) -> str:
    """Has all that quantizes `name` read one copy; returns the copy's name, "" where nothing does."""
    quantizing = [op for op in block.ops if op.type == QUANTIZE and op.input("X") == [name]]
    if not quantizing:
        return ""
    first, *others = quantizing
    copy = fence(block, first, name)
    for op in others:
        set_input(op, "X", [copy])
    return copy


def _saturated(block: Block) -> list[str]:
    """Results of layers that a saturating function reads beside others."""
    names = dict.fromkeys(op.input("X")[0] for op in block.ops if op.type in SATURATING)
    return [
        name
        for name in names
        if (source := writer(block, name)) is not None
        and source.type in LAYERS
        and not is_kept_fp32(source)
        and len(readers(block, name)) > 1
    ]
