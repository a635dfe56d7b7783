"""Gives INT8 operators a copy of a tensor, so that FP32 operators keep the tensor. Isolated process only.

A copy has the scale of its tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.blocks import readers, writer
from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS
from paddle_int8.tasks.engines.paddle.conversion.common_scales import handing_on
from paddle_int8.tasks.engines.paddle.conversion.data_movement import COMBINING, layer_behind
from paddle_int8.tasks.engines.paddle.conversion.quantized_reads import (
    quantized_sources,
    read_as_bytes,
    stored_tensors,
)
from paddle_int8.tasks.engines.paddle.form import DEQUANTIZE, QUANTIZE, is_int8
from paddle_int8.tasks.engines.paddle.private.operators import set_input
from paddle_int8.tasks.engines.paddle.rewrites.fences import CONVOLVED, fence, is_laid_out, writers
from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import is_kept_fp32
from paddle_int8.tasks.engines.paddle.rewrites.signs import CONCAT, LAYERS, SCALE_KEEPING

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, Operator, Program

PARTED_NARROWED, PARTED_CONCATENATIONS = "part_narrowed", "part_concatenations"
PARTED_SATURATED, STRAIGHTENED = "part_saturated", "straighten_convolved"
SEPARATED_SUMS = "separate_uncalibrated_sums"
NARROWING = frozenset({"pool2d", "slice", "split"})
"""Operators whose result may have a smaller range than what they read."""
SATURATING = frozenset({"relu6", "clip", "hard_sigmoid", "hard_swish", "sigmoid", "tanh"})
"""Activations that flatten large values, so that the steps of the small ones count."""


def part_narrowed(program: Program) -> int:
    """Makes operators that quantize an FP32 mean or slice read a copy of it. The layout `qdq` needs it.

    The predictor gives the result the scale of its input, whether the operator is in INT8 or not. A mean or a
    slice may have a much smaller range.
    Returns how many copies there are.
    """
    block = program.global_block()
    found = [op for op in block.ops if op.type in NARROWING and is_kept_fp32(op)]
    return len([copy for op in found for name in op.output("Out") if (copy := _part(block, name))])


def part_concatenations(program: Program, scales: Mapping[str, float]) -> int:
    """Makes operators that quantize an FP32 concatenation read a copy of it. The layout `qdq` needs it.

    It matters where inputs of the concatenation are quantized for other operators too: the predictor gives
    them the scale of the result, if that has one, whether the concatenation is in INT8 or not. A result that
    has none gets one, and a wrong one, from a `scale` operator that reads it and whose result has a scale.
    Such an operator reads a copy too.
    scales: see `keep_data_movement_fp32`. Returns how many copies there are.
    Source: `UpdateScaleOpInScale` of compute_propagate_scales_mkldnn_pass.cc, Paddle 2.6.
    """
    block = program.global_block()
    sources = quantized_sources(block)
    given, handed = set(read_as_bytes(block)), handing_on(block, sources)
    joined: dict[str, None] = {}
    for op in block.ops:
        inputs = {sources.get(name, name) for name in op.input_arg_names}
        joins = op.type == CONCAT and is_kept_fp32(op) and not handed.isdisjoint(inputs)
        if joins or (op.type in SCALE_KEEPING | {CONCAT} and not inputs.isdisjoint(joined)):
            joined.update(dict.fromkeys(op.output("Out")))
    copies = [copy for name in joined if name in given and (copy := _part(block, name))]
    for op in [op for op in block.ops if op.type == "scale" and scales.get(op.output("Out")[0])]:
        (name,) = op.input("X")
        if sources.get(name, name) in joined:
            copies.append(fence(block, op, name))
    return len(copies)


def part_saturated(program: Program, scales: Mapping[str, float]) -> dict[str, float]:
    """Makes INT8 layers read a copy of a result that a saturating function reads too. `offline` needs it.

    Without the copy the layer that computes the result writes bytes for all its readers, in the scale that
    its whole range needs. A function that cuts most of this range off is left with few steps, which the
    calibration did not see. `program` is fused: a function that reads the result alone is part of the layer.
    scales: see `keep_data_movement_fp32`. Returns the scales of the copies.
    """
    block = program.global_block()
    found = {}
    for name in _saturated(block):
        for op in readers(block, name):
            if op.type in LAYERS | SCALE_KEEPING | COMBINING and not is_kept_fp32(op):
                copy = fence(block, op, name)
                if name in scales:
                    found[copy] = scales[name]
    return found


def part_saturated_quantized(program: Program) -> int:
    """Does for `qdq` what `part_saturated` does for `offline`. Returns how many copies there are."""
    block = program.global_block()
    sources = quantized_sources(block)
    saturating: dict[str, list[Operator]] = {}
    for op in block.ops:
        if op.type in SATURATING and op.input("X")[0] in sources:
            saturating.setdefault(sources[op.input("X")[0]], []).append(op)
    copies = 0
    for name, reading in read_as_bytes(block).items():
        if name in saturating and any(op.type in LAYERS | SCALE_KEEPING | COMBINING for op in reading):
            copies += bool(_part(block, name))
            for op in saturating[name]:
                set_input(op, "X", [name])
    return copies


def separate_uncalibrated_sums(program: Program, scales: Mapping[str, float]) -> int:
    """layer + a tensor that was not calibrated -> the same with a copy of the layer's result.

    Both layouts need it. An example is a network whose input is added to its last layer. Paddle fuses the
    sum into the layer, which then stays in FP32, because it has no scale for the other term. `program` is not
    fused yet.
    scales: see `keep_data_movement_fp32`. Returns how many copies there are.
    """
    block = program.global_block()
    written = {name: op for op in block.ops for name in op.output_arg_names}
    stored = stored_tensors(block)

    def takes_sums(name: str) -> bool:
        """Whether a layer with weights writes `name`. Sums are fused into no product of two activations."""
        layer = layer_behind(written, name)
        return layer is not None and not stored.isdisjoint(layer.input_arg_names)

    found = [
        fence(block, op, name)
        for op in [op for op in block.ops if op.type == "elementwise_add"]
        for name, other in (op.input("X") + op.input("Y"), op.input("Y") + op.input("X"))
        if not scales.get(other) and other not in stored and takes_sums(name)
    ]
    return len(found)


def straighten_convolved(program: Program) -> int:
    """Makes operators that quantize the result of an FP32 convolution read a copy of it, in either layout.

    Such a convolution may write its channels in blocks. The kernel that quantizes takes the strides of the
    blocks for those of dimensions: the predictor dies, "could not construct a memory descriptor using
    strides". Whether a convolution writes blocks depends on its channels and on the instruction set. The
    predictor of `qdq` quantizes in front of operators that keep the scale, such as reshaping, if their
    results are quantized.
    Returns how many copies there are.
    """
    block = program.global_block()
    written = writers(block)
    dequantized = {name for op in block.ops if op.type == DEQUANTIZE for name in op.output("Y")}

    def lays_out(op: Operator) -> bool:
        if op.type not in CONVOLVED:
            return False
        return not is_int8(op) and (op.type not in CONVOLUTIONS or dequantized.isdisjoint(op.input("Input")))

    quantizing = [op for op in block.ops if op.type == "quantize"]
    found = [op for op in quantizing if is_laid_out(written, op.input("Input")[0], lays_out)]
    for op in found:
        fence(block, op, op.input("Input")[0])
    names = [name for name in read_as_bytes(block) if is_laid_out(written, name, lays_out, SCALE_KEEPING)]
    return len(found) + len([copy for name in names if (copy := _part(block, name))])


def _part(block: Block, name: str) -> str:
    """Makes all operators that quantize `name` read one copy; returns its name, "" if there are none."""
    quantizing = [op for op in block.ops if op.type == QUANTIZE and op.input("X") == [name]]
    if not quantizing:
        return ""
    first, *others = quantizing
    copy = fence(block, first, name)
    for op in others:
        set_input(op, "X", [copy])
    return copy


def _saturated(block: Block) -> list[str]:
    """Results of layers that a saturating function and other operators read."""
    names = dict.fromkeys(op.input("X")[0] for op in block.ops if op.type in SATURATING)
    return [
        name
        for name in names
        if (source := writer(block, name)) is not None
        and source.type in LAYERS
        and not is_kept_fp32(source)
        and len(readers(block, name)) > 1
    ]
