"""The factors of SmoothQuant."""

from __future__ import annotations

import numpy as np
import pytest

from paddle_int8.tasks.engines.paddle.rewrites.smoothing import smoothing

ACTIVATIONS, WEIGHTS = np.float32([100, 1, 4]), np.float32([1, 4, 9])


def test_half_and_half_makes_both_sides_alike_in_each_channel() -> None:
    factor = smoothing(ACTIVATIONS, WEIGHTS, 0.5)
    np.testing.assert_allclose(ACTIVATIONS / factor, WEIGHTS * factor, rtol=1e-6)


@pytest.mark.parametrize(("alpha", "side"), [(1.0, ACTIVATIONS), (0.0, 1 / WEIGHTS)])
def test_at_the_ends_one_side_is_the_same_in_all_channels(alpha: float, side: np.ndarray) -> None:
    np.testing.assert_allclose(side / smoothing(ACTIVATIONS, WEIGHTS, alpha), 1, rtol=1e-6)


def test_channel_that_is_zero_keeps_its_values() -> None:
    factor = smoothing(np.float32([0, 4, 4]), np.float32([4, 0, 4]), 0.7)
    np.testing.assert_allclose(factor[:2], [1, 1])
