"""Chooses which of the two neighbouring integers a weight becomes.

PaddleSlim's own `adaround` and `bias_correction` don't do what they are named after (see `weights`), so that
these functions replace them. Both keep PaddleSlim's scales and move a weight by less than one step.
"""

from __future__ import annotations

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array

SWEEPS = 4
"""Coordinate descent makes at most this many passes. It ends when nothing moves, commonly after two or
three."""
DAMPING = 0.01
"""The share of the mean diagonal that is added to the diagonal, since few samples leave directions unseen.

Source: Frantar 2022, arXiv:2210.17323.
"""


def nearest(steps: Array) -> Array:
    """The nearest integers. steps: weights in units of their scale's step, any shape."""
    rounded: Array = np.rint(steps)
    return rounded


def mean_preserving(steps: Array) -> Array:
    """The nearest integers, but with some rounded the other way to take the error out of each channel's mean.

    steps: [channels, n]. Shifting rounded weights by their mean error, as the paper does, is undone by the
    next rounding, since the shift is far below half a step. Instead the weights nearest to the middle of
    two integers go the other way, as many as bring the channel's sum within half a step.
    Source: Banner 2018, arXiv:1810.05723, section 3 (the mean; symmetric scales leave no variance term).
    """
    rounded = np.rint(steps)
    error = steps - rounded
    surplus = np.rint(error.sum(axis=1, keepdims=True))
    rank = np.argsort(np.argsort(-error * np.sign(surplus), axis=1), axis=1)
    flipped: Array = rounded + np.sign(surplus) * (rank < np.abs(surplus))
    return flipped


def least_output_error(steps: Array, start: Array, gram: Array) -> Array:
    """Integers next to `steps` whose layer output is nearest to the exact one, in the least-squares sense.

    steps, start: [channels, n]; `start` holds a neighbour of each of `steps`. gram: [n, n], mean of x x^T
    over the layer's inputs x. AdaRound's objective e^T gram e, with e the rounding error of a channel, by
    coordinate descent from `start`: deterministic, and never worse than it.
    Source: Nagel 2020, arXiv:2004.10568, equation 11.
    """
    gram = gram + np.eye(len(gram), dtype=gram.dtype) * (DAMPING * np.diag(gram).mean())
    error = start - steps
    slope = error @ gram
    for _ in range(SWEEPS):
        flips = 0
        for index in range(steps.shape[1]):
            move = -np.sign(error[:, index])
            gain = 2 * move * slope[:, index] + move * move * gram[index, index]
            rows = np.flatnonzero(gain < 0)
            error[rows, index] += move[rows]
            slope[rows] += move[rows, None] * gram[index]
            flips += rows.size
        if not flips:
            break
    return nearest(steps + error)
