"""Distorts pictures of handwritten digits: turns, slants, bends and thickens them, differently each time.

Each picture gets a random strength between none and full, so that some stay nearly as they were written.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

ANGLE, SLANT, SIZE, SHIFT = 0.15, 0.2, 0.1, 1.0
"""Standard deviations at full strength: in radians, in pixels for each row, in the logarithm of the size, and
in pixels."""
BEND, KNOTS, SOFTNESS = 2.0, 5, 0.6
"""An elastic distortion moves each of KNOTS x KNOTS points by a standard deviation of BEND pixels; each point
moves its surroundings over SOFTNESS times the distance between points."""
THICKNESS = 0.3
"""The standard deviation of the logarithm of the exponent that grey values are raised to."""


def distorted(pictures: npt.NDArray[np.uint8], random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Pictures [N, side, side], each distorted in its own way. Pixels from beyond the edge are 0.

    Source: Simard, Steinkraus & Platt 2003, best practices for convolutional networks, section 2.
    """
    strength = random.random((len(pictures), 1, 1), np.float32)
    rows, columns = _places(pictures.shape[1], strength, random)
    values = _sampled(pictures, rows, columns)
    exponents = np.exp(strength * _normal(random, THICKNESS, len(pictures), 1, 1))
    varied: npt.NDArray[np.uint8] = (255 * (values / 255) ** exponents).astype(np.uint8)
    return varied


def _places(side: int, strength: Floats, random: np.random.Generator) -> tuple[Floats, Floats]:
    """The row and the column from which each pixel's value is taken, [count, side, side] each.

    strength: [count, 1, 1].
    """
    count = len(strength)
    angle, slant = (strength * _normal(random, deviation, count, 1, 1) for deviation in (ANGLE, SLANT))
    height, width = np.exp(strength * _normal(random, SIZE, 2, count, 1, 1))
    shift = strength * _normal(random, SHIFT, 2, count, 1, 1)
    spread = _spread(side)
    bent = spread @ (strength * _normal(random, BEND, 2, count, KNOTS, KNOTS)) @ spread.T
    middle = np.float32((side - 1) / 2)
    centred = np.arange(side, dtype=np.float32) - middle
    down = height * centred[:, None]
    across = width * centred + slant * down
    rows = np.cos(angle) * down - np.sin(angle) * across
    columns = np.sin(angle) * down + np.cos(angle) * across
    return rows + bent[0] + shift[0] + middle, columns + bent[1] + shift[1] + middle


def _spread(side: int) -> Floats:
    """The weight of each point at each pixel of an axis: [side, KNOTS]. Each row sums to 1."""
    distances = np.linspace(0, KNOTS - 1, side)[:, None] - np.arange(KNOTS)
    weights = np.exp(-0.5 * (distances / SOFTNESS) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    spread: Floats = weights.astype(np.float32)
    return spread


def _sampled(pictures: npt.NDArray[np.uint8], rows: Floats, columns: Floats) -> Floats:
    """The values of each picture at the given rows and columns, interpolated bilinearly; 0 outside of it."""
    count, side, _ = pictures.shape
    wide = side + 2
    flat = np.pad(pictures, ((0, 0), (1, 1), (1, 1))).astype(np.float32).ravel()
    rows, columns = (np.clip(each + 1, 0, side + 0.999) for each in (rows, columns))
    top, left = rows.astype(np.int32), columns.astype(np.int32)
    first = np.arange(count, dtype=np.int32)[:, None, None] * wide * wide + top * wide + left
    down, right = rows - top, columns - left
    above = flat[first] + right * (flat[first + 1] - flat[first])
    first += wide
    below = flat[first] + right * (flat[first + 1] - flat[first])
    sampled: Floats = above + down * (below - above)
    return sampled


def _normal(random: np.random.Generator, deviation: float, *shape: int) -> Floats:
    return deviation * random.standard_normal(shape, np.float32)
