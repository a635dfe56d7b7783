"""Why an operator loses much in INT8, as far as its inputs and weights tell. Isolated process only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.contracts.sensitivity import OperatorInput
from paddle_int8.tasks.engines.paddle.blocks import value, writer
from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS
from paddle_int8.tasks.engines.paddle.quantization.weights import LEVELS
from paddle_int8.tasks.engines.paddle.rewrites.layers import layer_of
from paddle_int8.tasks.engines.paddle.simulated import channel_axis

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paddle_int8.tasks.contracts.arrays import Array
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.simulated import Scale
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

OUTLIERS, CLIPPED, UNLIKE, SATURATED = 20.0, 0.01, 20.0, 0.001
"""From these on the widest channel, the clipped share, the unlikeness of two terms and the share of saturated
pairs are named as the reason."""
COARSE_DB = 20.0
"""The SQNR of an operator's own output below which a reason is looked for. Rounding alone leaves a tensor of
well-spread values 30 to 40 dB."""
DRAWN = 64
"""How many rows of an activation, and how many output channels, are drawn to count saturated pairs."""
GREATEST_SUM = 2**15 - 1


def reason(inputs: Sequence[OperatorInput], own_db: float, *, saturates: bool) -> str:
    """What most likely makes the operator lose much; "" when it loses little.

    saturates: whether a CPU serves the model on which sums of two products have 16 bits. The simulation, from
    which `own_db` comes, knows nothing of this.
    """
    for each in inputs if saturates else ():
        if each.saturated_share is not None and each.saturated_share >= SATURATED:
            share = f"{100 * each.saturated_share:.2g} % of the sums of two products exceed 16 bits"
            return f"without VNNI {share}, since much of {each.tensor} is near its threshold"
    if own_db >= COARSE_DB:
        return ""
    for each in inputs:
        if each.clipped_share >= CLIPPED:
            share = f"{100 * each.clipped_share:.2g} % of the values of {each.tensor}"
            return f"{share} are beyond its threshold {each.threshold:.3g}"
    for each in inputs:
        if each.channel_spread is not None and each.channel_spread >= OUTLIERS:
            return (
                f"one channel of {each.tensor} is {each.channel_spread:.0f} times as wide as the median one"
            )
    for each in inputs:
        if each.terms_spread is not None and each.terms_spread >= UNLIKE:
            return (
                f"{each.tensor} is a sum of two terms, one {each.terms_spread:.0f} times as wide as the other"
            )
    wide = max(inputs, key=lambda each: each.greatest / max(each.threshold, 1e-12), default=None)
    if wide is not None and wide.greatest > 2 * wide.threshold:
        ratio = wide.greatest / max(wide.threshold, 1e-12)
        return f"values of {wide.tensor} reach {ratio:.1f} times its threshold"
    return "its inputs or its weights have few values near their greatest"


def terms_of(block: Block, name: str) -> tuple[str, ...]:
    """The two activations whose sum the tensor is; none for any other tensor."""
    op = writer(block, name)
    if op is None or op.type != "elementwise_add":
        return ()
    terms = (*op.input("X"), *op.input("Y"))
    return () if any(block.var(term).persistable for term in terms) else terms


def terms_spread(terms: Sequence[Array]) -> float | None:
    """The greatest magnitude of the wider term over that of the other one; None without two terms."""
    if len(terms) != 2 or not all(term.size for term in terms):
        return None
    narrow, wide = sorted(float(np.abs(term).max()) for term in terms)
    return wide / max(narrow, 1e-12)


def saturated_share(
    loaded: LoadedProgram, op: Operator, values: Array, scales: Mapping[str, Scale]
) -> float | None:
    """The share of sums of two neighbouring products that 16 bits cannot hold; the layer reads `values`.

    None for what is no convolution or product with a stored weight, and for convolutions in groups. Without
    VNNI oneDNN adds the products of two neighbouring input channels in 16 bits; to an activation with a sign
    it adds 128 first (vpmaddubsw multiplies unsigned bytes with signed ones).
    """
    layer = layer_of(loaded.program.global_block(), op)
    if layer is None or layer.weight not in scales:
        return None
    weight, scale = value(loaded, layer.weight), scales[layer.weight]
    steps = np.round(weight / _along(weight, scale) * LEVELS)
    if op.type in CONVOLUTIONS:
        if op.attr("groups") != 1 or values.ndim != 4:
            return None
        columns = np.moveaxis(steps, 1, 0).reshape(steps.shape[1], -1)
        rows = np.moveaxis(values, 1, -1) if layer.channels == 1 else values
    else:
        columns, rows = steps, values
    rows = rows.reshape(-1, rows.shape[-1])
    if len(columns) < 2 or rows.shape[-1] != len(columns):
        return None
    threshold, signed = float(np.max(scales[layer.source])), bool(values.min() < 0)
    return _beyond(_bytes(_drawn(rows, 0), threshold, signed=signed), _drawn(columns, 1))


def _along(weight: Array, scale: Scale) -> Array:
    """The scale, or the scale of each channel, in a shape that divides the weight."""
    axis = channel_axis(weight, scale)
    if axis is None:
        return np.asarray(np.max(scale), np.float64)
    shape = [1] * weight.ndim
    shape[axis] = -1
    return np.maximum(np.asarray(scale, np.float64), 1e-12).reshape(shape)


def _bytes(values: Array, threshold: float, *, signed: bool) -> Array:
    """Activations as unsigned bytes."""
    relative = np.clip(values / max(threshold, 1e-12), -1, 1)
    return np.round(relative * LEVELS) + 128 if signed else np.round(relative * 255)


def _drawn(table: Array, axis: int) -> Array:
    size = table.shape[axis]
    places = np.random.default_rng(0).choice(size, min(size, DRAWN), replace=False)
    return np.asarray(np.take(table, places, axis))


def _beyond(rows: Array, columns: Array) -> float:
    """rows: [rows, channels]. columns: [channels, outputs]."""
    even = len(columns) // 2 * 2
    shares = []
    for row in rows:  # the products of all rows take a gigabyte in a layer of 25,088 channels
        products = row[:even, None] * columns[:even]
        sums = products[0::2] + products[1::2]
        shares.append(((sums > GREATEST_SUM) | (sums < -GREATEST_SUM - 1)).mean())
    return float(np.mean(shares))
