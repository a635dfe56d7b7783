"""Rewrites that fold factors and offsets into the weight and the bias of the layer beside them.

PP-OCR's networks multiply by a learned scalar and add another behind each convolution and each activation.
Vision Transformers multiply by a learned vector behind their layers. Each of these is an operator of its own,
which keeps activations from being fused, and which rounds once more in INT8. Isolated process only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.engines.paddle.blocks import (
    position,
    readers,
    remove,
    remove_unread,
    scale_before,
    value,
    writer,
)
from paddle_int8.tasks.engines.paddle.private.operators import remove_operator, rename_input, rename_output
from paddle_int8.tasks.engines.paddle.rewrites.layers import add_bias, is_bias, layer_of, multiply_weight

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Operator


@dataclass(frozen=True, slots=True)
class Affine:
    """`op` writes `source` * factor + offset, both with as many dimensions as `source`."""

    op: Operator
    source: str
    factor: Array
    offset: Array

    @property
    def is_scalar(self) -> bool:
        return bool(self.factor.size == 1)


def fold_affine_behind_layers(loaded: LoadedProgram) -> int:
    """layer [+ bias], * a + b -> layer with the weight * a, + (bias * a + b), for all channels or by channel.

    A bias in a shape that Paddle does not fuse becomes a vector in the same way.
    """
    return _sweep(loaded, _fold_into_writer, list(loaded.program.global_block().ops))


def fold_factors_before_layers(loaded: LoadedProgram) -> int:
    """x * a, layers -> layers with the weight * a.

    An offset stays where it is, also where no layer pads, since it centres values that bytes hold with a
    sign. PP-OCRv4's detector has 15.1 dB with the offsets in front of its layers, and 13.4 dB with them in
    the biases.
    """
    return _sweep(loaded, _fold_into_readers, loaded.program.global_block().ops[::-1])


def join_scalars(loaded: LoadedProgram) -> int:
    """x * a + b in two operators -> `scale`, which computes both in FP32 and is rounded once."""
    return _sweep(loaded, _join_with_reader, loaded.program.global_block().ops[::-1])


def _sweep(
    loaded: LoadedProgram, fold: Callable[[LoadedProgram, Operator], bool], ops: Sequence[Operator]
) -> int:
    """Calls `fold` on each of `ops`; returns how often it matched.

    Besides the operator that it is given, `fold` may remove only operators that have had their turn.
    """
    matched = sum(fold(loaded, op) for op in ops)
    if matched:
        remove_unread(loaded.program.global_block(), loaded.fetches)
    return matched


def _fold_into_writer(loaded: LoadedProgram, op: Operator) -> bool:
    block = loaded.program.global_block()
    affine = _affine(loaded, op)
    if affine is None:
        return False
    bias, layer = None, layer_of(block, writer(block, affine.source))
    if layer is None and (bias := _affine(loaded, writer(block, affine.source))) is not None:
        layer = layer_of(block, writer(block, bias.source))
    if layer is None or (bias is None and is_bias(block, layer, op)):
        return False
    chain = [one for one in (bias, affine) if one is not None]
    if any(len(readers(block, one.source)) != 1 for one in chain):
        return False
    channels = block.var(layer.weight).shape[layer.outputs]
    factor, offset = np.ones(channels), np.zeros(channels)
    for one in chain:
        more = _by_channel(one.factor, layer.channels, channels)
        added = _by_channel(one.offset, layer.channels, channels)
        if more is None or added is None:
            return False
        factor, offset = factor * more, offset * more + added
    multiply_weight(loaded, layer, factor)
    (target,) = op.output("Out")
    remove_operator(block, position(block, op))
    if bias is not None:
        remove(block, bias.op)
    rename_output(layer.op, layer.answer, target)
    if offset.any():
        add_bias(loaded, replace(layer, answer=target), offset)
    return True


def _fold_into_readers(loaded: LoadedProgram, op: Operator) -> bool:
    block = loaded.program.global_block()
    affine = _affine(loaded, op)
    if affine is None or not affine.is_scalar or affine.offset.any():
        return False
    (target,) = op.output("Out")
    layers = [layer_of(block, reader) for reader in readers(block, target)]
    if not layers or any(layer is None or layer.source != target for layer in layers):
        return False
    for layer in filter(None, layers):
        multiply_weight(loaded, layer, affine.factor)
        rename_input(layer.op, target, affine.source)
    remove(block, op)
    return True


def _join_with_reader(loaded: LoadedProgram, op: Operator) -> bool:
    block = loaded.program.global_block()
    first = _affine(loaded, op)
    reading = readers(block, op.output("Out")[0]) if first is not None else []
    second = _affine(loaded, reading[0]) if len(reading) == 1 else None
    if first is None or second is None or not (first.is_scalar and second.is_scalar):
        return False
    factor = first.factor * second.factor
    offset = first.offset * second.factor + second.offset
    (target,) = second.op.output("Out")
    scale_before(block, second.op, first.source, target, factor.item(), bias=offset.item())
    remove_operator(block, position(block, second.op))
    remove(block, op)
    return True


def _affine(loaded: LoadedProgram, op: Operator | None) -> Affine | None:
    """`op` with its factor and offset, if it multiplies by a stored value or adds one; else None."""
    import paddle

    block = loaded.program.global_block()
    if op is None or op.type not in ("scale", "elementwise_mul", "elementwise_add"):
        return None
    slots = ("X", "ScaleTensor" if op.type == "scale" else "Y")
    operands = [name for slot in slots if slot in op.input_names for name in op.input(slot)]
    stored = [name for name in operands if block.var(name).persistable]
    sources = [name for name in operands if name not in stored]
    if len(sources) != 1 or block.var(sources[0]).dtype != paddle.float32:
        return None
    (source,), rank = sources, len(block.var(sources[0]).shape)
    if op.type == "scale":
        factor, offset = op.attr("scale"), op.attr("bias")
        if stored or (factor, offset) == (1, 0):  # exports end with one that does nothing
            return None
        if not op.attr("bias_after_scale"):
            offset *= factor
        return Affine(op, source, *(np.full((1,) * rank, scalar) for scalar in (factor, offset)))
    values = _aligned(value(loaded, stored[0]), op.attr("axis"), rank)
    if values is None:
        return None
    if op.type == "elementwise_add":
        return Affine(op, source, np.ones_like(values), values)
    return Affine(op, source, values, np.zeros_like(values))


def _aligned(values: Array, axis: int, rank: int) -> Array | None:
    """`values` with all the dimensions over which Paddle broadcasts it; None where it has more than those."""
    front = rank - values.ndim if axis == -1 else axis
    behind = rank - front - values.ndim
    return None if min(front, behind) < 0 else values.reshape((1,) * front + values.shape + (1,) * behind)


def _by_channel(values: Array, dimension: int, channels: int) -> Array | None:
    """One value for each channel; None where `values` differ along another dimension."""
    if values.size != 1 and values.size != values.shape[dimension]:
        return None
    return np.broadcast_to(values.ravel(), channels) if values.size in (1, channels) else None
