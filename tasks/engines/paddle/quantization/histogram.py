"""Counts magnitudes in equal bins with the result of NumPy, but without its sort.

`np.histogram` sorts when it is given an edge array, which costs more than the network's forward pass.
Here a bin is one multiplication in float32; only the values so near to an edge that float32 cannot tell
the side (about one in a thousand) are looked up among the float64 edges.
"""

from __future__ import annotations

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array

CHUNK = 1 << 17
"""How many values are counted at a time. So many stay in a core's caches."""

WORST_MARGIN = 2.0**-4
"""The largest margin, in bins, for which this way is used. Beyond it most values are near an edge: the range
is narrow beside its distance from 0."""


def magnitude_range(values: Array) -> tuple[float, float]:
    """Least and greatest |value|; NaN when there is one. values: any shape, not empty."""
    flat = values.reshape(-1)
    chunks = [np.abs(flat[start : start + CHUNK]) for start in range(0, flat.size, CHUNK)]
    return float(np.min([chunk.min() for chunk in chunks])), float(np.max([chunk.max() for chunk in chunks]))


def magnitude_counts(values: Array, edges: Array) -> Array:
    """`np.histogram(np.abs(values), bins=edges)[0]`, int [bins], exactly.

    values: any shape. edges: float64 [bins + 1], equally spaced as `np.histogram` makes them. Values
    outside of the edges and NaN are not counted.
    """
    low, high = float(edges[0]), float(edges[-1])
    bins = edges.size - 1
    scale = bins / (high - low)
    margin = 8 * 2.0**-24 * max(high * scale, bins)
    if values.dtype != np.float32 or margin > WORST_MARGIN or not 1e-30 < high - low < 1e30:
        return np.histogram(np.abs(values), bins=edges)[0]
    flat = values.reshape(-1)
    counts = np.zeros(bins + 1, np.intp)
    for start in range(0, flat.size, CHUNK):
        magnitudes = np.abs(flat[start : start + CHUNK])
        if not (low <= magnitudes.min() and magnitudes.max() <= high):
            exact = magnitudes.astype(np.float64)
            magnitudes = magnitudes[(exact >= low) & (exact <= high)]
        counts += _chunk_counts(magnitudes, edges, scale=scale, margin=margin)
    return counts[:bins]


def _chunk_counts(magnitudes: Array, edges: Array, *, scale: float, margin: float) -> Array:
    """Counts [bins + 1] of magnitudes within the edges; none falls into the extra last bin.

    `margin`, in bins, is twice the greatest rounding error of the position. A position is shifted up by it,
    so that one that float32 took over an edge, or might have, lies within two margins above that edge. Low
    positions are raised over that band: they are in the first bin anyway, and zeros are many after a ReLU.
    """
    bins = edges.size - 1
    position = magnitudes * np.float32(scale)
    position += np.float32(margin - edges[0] * scale)
    np.maximum(position, np.float32(2.5 * margin), out=position)
    floor = np.floor(position)
    index = floor.astype(np.int32)
    position -= floor
    near = np.flatnonzero(position < np.float32(2 * margin))
    counts = np.bincount(index, minlength=bins + 1)
    if near.size:
        exact = np.searchsorted(edges, magnitudes[near].astype(np.float64), side="right") - 1
        counts -= np.bincount(index[near], minlength=bins + 1)
        counts += np.bincount(np.minimum(exact, bins - 1), minlength=bins + 1)
    return counts
