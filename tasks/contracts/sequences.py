"""Sequences of different lengths in one array: padded to the longest, or one after another.

The file that ships inside bundles (`paddle_int8.tasks.engines.paddle.serving`) imports nothing of this
project, so it has these few lines once more; a test holds the two to each other.
"""

from __future__ import annotations

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array

LENGTHS = ".lengths"
"""A sequence input `x`, [N, longest, ...], comes with `x.lengths`, [N]; what lies beyond is not read."""


def packed(padded_values: Array, lengths: Array) -> Array:
    """[N, longest, ...] to the steps of all sequences one after another, [sum of lengths, ...].

    Raises: ValueError for an empty sequence, on which Paddle's recurrent kernels have no answer.
    """
    if len(lengths) != len(padded_values) or lengths.max(initial=0) > padded_values.shape[1]:
        raise ValueError(f"lengths {lengths.shape} do not fit sequences {padded_values.shape}")
    if lengths.min(initial=1) < 1:
        raise ValueError(f"sequence {int(np.argmin(lengths))} is empty: leave it out of the batch")
    if len(lengths) == 1:  # a fifth of the time of the general way, which counts at batch 1
        return np.ascontiguousarray(padded_values[0, : lengths[0]])
    rows: Array = padded_values[np.arange(padded_values.shape[1]) < lengths[:, None]]
    return rows


def padded(rows: Array, lengths: Array, fill: float = 0) -> Array:
    """The inverse of `packed`: [N, longest, ...], `fill` beyond each length."""
    if len(lengths) == 1:
        return rows[None]
    longest = int(lengths.max(initial=0))
    values = np.full((len(lengths), longest, *rows.shape[1:]), fill, rows.dtype)
    values[np.arange(longest) < lengths[:, None]] = rows
    return values


def offsets(lengths: Array) -> list[int]:
    """Where each sequence begins, and where the last one ends: Paddle's LoD."""
    return [0, *np.cumsum(lengths).tolist()]
