"""Moves factors from a layer's output channels into the next layer's inputs. Isolated process only.

Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.1. The absorption of high biases that follows there is left out, since it changes FP32's answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.engines.paddle.blocks import overwrite, readers, value
from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS
from paddle_int8.tasks.engines.paddle.rewrites.layers import Layer, bias_behind, layer_of

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

HOMOGENEOUS = frozenset({"relu", "leaky_relu", "prelu", "pool2d"})
"""Operators f with f(s x) = s f(x) for every channel's own s > 0. `relu6` is none: it clips at 6."""
FLATTENING = frozenset({"flatten_contiguous_range", "flatten2", "reshape2"})
SWEEPS = 20
"""The most times that all pairs are equalised; a layer's ranges change when its neighbours' do."""
SETTLED = 1.01
"""No sweep follows one whose factors were all within this of 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two layers, the second of which alone reads what the first one wrote.

    bias: the vector that is added to the first one's answer. None where there is none.
    """

    first: Layer
    bias: str | None
    second: Layer


def equalise(loaded: LoadedProgram) -> int:
    """Equalises the ranges of all pairs of layers in place; FP32's answers stay, but for rounding.

    Returns how many pairs there are.
    """
    pairs = pairs_of(loaded.program.global_block())
    names = {name for pair in pairs for name in (pair.first.weight, pair.second.weight, pair.bias) if name}
    values = {name: value(loaded, name) for name in names}
    for _ in range(SWEEPS):
        if max((_equalise(values, pair) for pair in pairs), default=1.0) < SETTLED:
            break
    for name, changed in values.items():
        overwrite(loaded, name, changed)
    return len(pairs)


def pairs_of(block: Block) -> list[Pair]:
    """The pairs in the order of their first layers. A layer may be the second of one and begin another."""
    layers = [layer for op in block.ops if (layer := layer_of(block, op)) is not None]
    return [pair for layer in layers if (pair := _pair(block, layer)) is not None]


def _pair(block: Block, first: Layer) -> Pair | None:
    added = bias_behind(block, first)
    bias = added.input("Y")[0] if added is not None else None
    second = _next_layer(block, first, added.output("Out")[0] if added is not None else first.answer)
    if second is None:
        return None
    stored = (first.weight, second.weight, *([bias] if bias else ()))
    if any(len(readers(block, name)) != 1 for name in stored):
        return None
    return Pair(first=first, bias=bias, second=second)


def _next_layer(block: Block, first: Layer, name: str) -> Layer | None:
    """The layer behind `first` whose inputs are multiplied when the channels of `name` are, if any."""
    channels, width = first.channels, block.var(first.weight).shape[first.outputs]
    while True:
        reading = readers(block, name)
        if len(reading) != 1:
            return None
        (op,) = reading
        layer = layer_of(block, op)
        if layer is not None:
            same = layer.source == name and layer.channels == channels
            return layer if same and _inputs(block, layer) % width == 0 else None
        if op.type in FLATTENING and channels == 1 and _flattens(block, op):
            channels = -1
        elif op.type not in HOMOGENEOUS:
            return None
        name = op.output("Out")[0]


def _flattens(block: Block, op: Operator) -> bool:
    """Whether `op` makes one row of each sample, with each channel's values beside each other."""
    before, after = (block.var(name).shape for name in (op.input("X")[0], op.output("Out")[0]))
    return len(before) > 2 and len(after) == 2 and min(before[1:]) > 0 and prod(before[1:]) == after[1]


def _inputs(block: Block, layer: Layer) -> int:
    shape = block.var(layer.weight).shape
    return int(shape[1] * layer.op.attr("groups") if layer.op.type in CONVOLUTIONS else shape[0])


def _equalise(values: dict[str, Array], pair: Pair) -> float:
    """Gives each channel between the two layers equal ranges on both sides.

    Returns the farthest factor from 1, as a factor above 1.
    """
    weight = values[pair.first.weight]
    given = np.abs(weight).max(axis=_but(weight, pair.first.outputs))
    table = _by_input(values[pair.second.weight], pair.second, len(given))
    taken = np.abs(table).max(axis=(1, 3)).ravel()
    factor = equalising(given, taken, None if pair.bias is None else values[pair.bias])
    divide(values, pair, factor)
    return float(np.maximum(factor, 1 / factor).max())


def divide(values: dict[str, Array], pair: Pair, factor: Array) -> None:
    """Divides the channels between two layers by `factor`, [channels], and multiplies those that read them.

    values: the weights and biases by name, which are changed in place.
    """
    weight = values[pair.first.weight]
    weight /= np.expand_dims(factor, _but(weight, pair.first.outputs))
    if pair.bias is not None:
        values[pair.bias] /= factor
    table = _by_input(values[pair.second.weight], pair.second, len(factor))
    table *= factor.reshape(len(table), 1, -1, 1)


def _but(weight: Array, axis: int) -> tuple[int, ...]:
    """All axes of `weight` but one."""
    return tuple(each for each in range(weight.ndim) if each != axis)


def _by_input(weight: Array, layer: Layer, width: int) -> Array:
    """`weight` as a view [groups, outputs, channels, values]; the layer reads `width` channels in all."""
    if layer.op.type not in CONVOLUTIONS:
        return weight.reshape(1, 1, width, -1)
    groups = layer.op.attr("groups")
    return weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)


def equalising(given: Array, taken: Array, bias: Array | None) -> Array:
    """The factors [channels] by which the first layer's channels are divided and the second's multiplied.

    given, taken: the greatest weight of each channel in the first and in the second layer.

    Both ranges become sqrt(given * taken). A channel without weights on one side keeps what it has. No bias
    grows beyond the layer's greatest one: a channel that is dead but for its bias would otherwise set the
    threshold of the whole tensor.
    """
    alive = (given > 0) & (taken > 0)
    factor = np.sqrt(np.where(alive, given, 1) / np.where(alive, taken, 1))
    if bias is not None and bias.any():
        factor = np.maximum(factor, np.where(alive, np.abs(bias) / np.abs(bias).max(), 0))
    return np.asarray(factor, given.dtype)
