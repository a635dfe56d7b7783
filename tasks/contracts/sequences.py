"""Sequences of different lengths in one array: padded to the longest, or packed one after another.

Example: the sequences [1, 2] and [3] are [[1, 2], [3, 0]] padded, and [1, 2, 3] packed.

The file that ships inside bundles (`paddle_int8.tasks.engines.paddle.serving`) may import nothing of this
project, so it repeats these few lines; a test checks that both do the same.
"""

from __future__ import annotations

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array

LENGTHS = ".lengths"
"""Suffix of the lengths of a sequence input: `x` [N, longest, ...] comes with `x.lengths` [N].

Values beyond a sequence's length are not read.
"""


def packed(padded_values: Array, lengths: Array) -> Array:
    """Packs padded sequences [N, longest, ...] one after another: [sum of lengths, ...].

    Raises: ValueError when the lengths do not fit, or when a sequence is empty, which Paddle's recurrent
    kernels cannot process.
    """
    if len(lengths) != len(padded_values) or lengths.max(initial=0) > padded_values.shape[1]:
        raise ValueError(f"lengths {lengths.shape} do not fit sequences {padded_values.shape}")
    if lengths.min(initial=1) < 1:
        raise ValueError(f"sequence {int(np.argmin(lengths))} is empty: leave it out of the batch")
    if len(lengths) == 1:  # takes a fifth of the time that the general way takes, which matters at batch 1
        return np.ascontiguousarray(padded_values[0, : lengths[0]])
    rows: Array = padded_values[np.arange(padded_values.shape[1]) < lengths[:, None]]
    return rows


def padded(rows: Array, lengths: Array, fill: float = 0) -> Array:
    """Pads packed sequences: the inverse of `packed`, [N, longest, ...] with `fill` beyond each length."""
    if len(lengths) == 1:
        return rows[None]
    longest = int(lengths.max(initial=0))
    values = np.full((len(lengths), longest, *rows.shape[1:]), fill, rows.dtype)
    values[np.arange(longest) < lengths[:, None]] = rows
    return values


def offsets(lengths: Array) -> list[int]:
    """The row where each packed sequence begins, and where the last one ends: Paddle's LoD."""
    return [0, *np.cumsum(lengths).tolist()]
