"""The factors of cross-layer equalisation."""

from __future__ import annotations

import numpy as np

from paddle_int8.tasks.engines.paddle.rewrites.equalisation import equalising


def test_both_ranges_become_their_geometric_mean() -> None:
    given, taken = np.float32([100, 1, 4]), np.float32([1, 100, 1])
    factor = equalising(given, taken, None)
    np.testing.assert_allclose(given / factor, np.sqrt(given * taken), rtol=1e-6)
    np.testing.assert_allclose(taken * factor, np.sqrt(given * taken), rtol=1e-6)
    assert factor.dtype == np.float32


def test_channel_without_weights_on_one_side_keeps_what_it_has() -> None:
    factor = equalising(np.float32([0, 4, 4]), np.float32([4, 0, 4]), np.float32([1, 1, 1]))
    np.testing.assert_array_equal(factor, [1, 1, 1])


def test_no_bias_grows_beyond_the_greatest_of_its_layer() -> None:
    given, taken, bias = np.float32([1e-8, 1]), np.float32([1, 1]), np.float32([0.5, -2])
    factor = equalising(given, taken, bias)
    np.testing.assert_allclose(np.abs(bias / factor), [2, 2], rtol=1e-6)
