"""Keeps operators that only move data in FP32 where INT8 does not serve them. Isolated process only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import is_kept_fp32, keep_fp32
from paddle_int8.tasks.engines.paddle.rewrites.signs import (
    CONCAT,
    LAYERS,
    QUANT_PAIR,
    RECTIFIERS,
    SCALE_KEEPING,
    unsigned_tensors,
)

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Operator, Program

DATA_MOVEMENT = "keep_data_movement_fp32"
MOVING = SCALE_KEEPING | {CONCAT}
COMBINING = frozenset(
    name.format(kind)
    for kind in ("elementwise_add", "elementwise_sub", "elementwise_mul")
    for name in ("{}", "fused_{}")
)
NARROWED = 2.0
"""A mean's range may be smaller than its input's by this factor, which is one bit of eight."""
FUSED_BEHIND = QUANT_PAIR | {"elementwise_add", "batch_norm"}
"""Operators that may become part of the layer in front of them."""
TAKING_INT8 = LAYERS | {"elementwise_add", "fused_elementwise_add"}


def keep_data_movement_fp32(program: Program, scales: Mapping[str, float], *, fused: bool = True) -> int:
    """Marks operators that only move data so that no layout quantizes them where INT8 does not serve them.

    They are pooling, concatenation, reshaping, sums and the like. Paddle quantizes each of them with the
    scale of its input. Marked are:

    - Operators whose result anything but INT8 layers reads. For example, a mean over a picture in front of a
      classifier would have a few of the 255 steps left when FP32 reads it. In front of BatchNorm, as in
      DenseNet, INT8 would round once more than was calibrated, and gain nothing.
    - Concatenations of signed and unsigned inputs. No kernel makes one tensor of bytes with and without a
      sign: the predictor dies, "could not create a primitive descriptor for a concat primitive".
    - Concatenations where something else in INT8 reads one of the inputs, or a reshape of it, which would get
      the scale of a much wider one.
    - In `qdq`, all concatenations. Its predictor takes concatenated tensors for signed: it requantizes
      rectified inputs, at half their resolution and at a cost.
    - Sums, differences and products with an operand that was not calibrated, such as an input or a parameter,
      unless a layer takes them in. Paddle leaves them in FP32, and what is transposed in front of them is
      better off in FP32 too.
    - Means whose range is much smaller than their input's, or whose input was not calibrated. A mean over a
      picture, as in squeeze and excite, gets the scale of the picture. If the picture has none, it gets the
      scale of the mean and is cut off there.

    scales: INT8 steps a unit, up to a factor, for each calibrated tensor.
    fused: False for a program of `qdq`, whose layers the predictor fuses.
    Returns how many were marked.
    """
    block = program.global_block()
    readers: dict[str, list[Operator]] = {}
    for op in block.ops:
        for name in op.input_arg_names:
            readers.setdefault(name, []).append(op)
    written = {name: op for op in block.ops for name in op.output_arg_names}
    found = [op for op in block.ops if op.type in MOVING | COMBINING]
    passing = MOVING if fused else MOVING | QUANT_PAIR | RECTIFIERS
    while True:
        before = sum(map(is_kept_fp32, found))
        unsigned = unsigned_tensors(block, fused=fused)
        for op in reversed(found):
            refused = op.type == CONCAT and (
                not fused
                or len({name in unsigned for name in op.input("X")}) == 2
                or _coarsens(readers, op, scales)
            )
            refused = refused or (op.type in COMBINING and _is_uncalibrated(written, op, scales))
            if refused or _narrows(op, scales) or not _feeds_int8(readers, op, passing):
                keep_fp32(op)
        if sum(map(is_kept_fp32, found)) == before:
            return before


def is_mean(op: Operator) -> bool:
    return bool(op.type == "pool2d" and op.attr("pooling_type") == "avg")


def layer_behind(written: Mapping[str, Operator], name: str) -> Operator | None:
    """The layer that writes `name`, with what may be fused into it behind; None where no layer does."""
    while name in written and written[name].type in FUSED_BEHIND:
        (name,) = written[name].input("X")
    return written[name] if name in written and written[name].type in LAYERS else None


def _narrows(op: Operator, scales: Mapping[str, float]) -> bool:
    """Whether `op` is a mean for which bytes of its input's scale are too coarse."""
    if not is_mean(op):
        return False
    (source,), (target,) = op.input("X"), op.output("Out")
    return scales.get(target, 0) > NARROWED * scales.get(source, 0) or not scales.get(source)


def _is_uncalibrated(written: Mapping[str, Operator], op: Operator, scales: Mapping[str, float]) -> bool:
    """Whether `op` has an operand without a scale, and is no part of the layer that writes the other one."""
    operands = op.input("X") + op.input("Y")
    return not all(scales.get(name) for name in operands) and not any(
        layer_behind(written, name) for name in operands
    )


def _coarsens(readers: Mapping[str, list[Operator]], op: Operator, scales: Mapping[str, float]) -> bool:
    """Whether something else in INT8 reads an input of `op` that would get a much wider tensor's scale."""
    known = [scales[name] for name in op.input("X") + op.output("Out") if scales.get(name)]
    return any(
        _handed_scale(readers, name, scales) > NARROWED * min(known, default=math.inf)
        and any(
            other is not op and other.type in TAKING_INT8 | MOVING and not is_kept_fp32(other)
            for other in readers[name]
        )
        for name in op.input("X")
    )


def _handed_scale(readers: Mapping[str, list[Operator]], name: str, scales: Mapping[str, float]) -> float:
    """The scale of `name`, or of what a reshape and the like make of it; 0 where none has one."""
    moved = (
        _handed_scale(readers, target, scales)
        for op in readers.get(name, ())
        if op.type in SCALE_KEEPING and not is_kept_fp32(op)
        for target in op.output("Out")
    )
    return scales.get(name) or max(moved, default=0.0)


def _feeds_int8(readers: Mapping[str, list[Operator]], op: Operator, passing: frozenset[str]) -> bool:
    """Whether the result of `op` is read, and every operator that reads it takes bytes."""
    reading = [reader for name in op.output_arg_names for reader in readers.get(name, ())]
    return bool(reading) and all(
        not is_kept_fp32(reader)
        and (reader.type in TAKING_INT8 or (reader.type in passing and _feeds_int8(readers, reader, passing)))
        for reader in reading
    )
