"""Counting in equal bins gives what `np.histogram` gives with the array of edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from paddle_int8.tasks.engines.paddle.quantization.histogram import CHUNK, magnitude_counts, magnitude_range

Array = npt.NDArray[Any]
BINS = 2048


def _edges(low: float, high: float, bins: int = BINS) -> Array:
    """As PaddleSlim makes them."""
    return np.histogram([], bins=bins, range=(low, high))[1]


def _neighbours(edges: Array) -> Array:
    """The float32 values nearest to each edge, six to either side."""
    values = [edges.astype(np.float32)]
    for direction in (-np.inf, np.inf):
        value = values[0]
        for _ in range(6):
            value = np.nextafter(value, np.float32(direction))
            values.append(value)
    return np.concatenate(values)


NORMAL = np.random.default_rng(0).standard_normal((3, CHUNK // 2)).astype(np.float32)
CASES = {
    "signed": NORMAL,
    "after a ReLU": np.maximum(NORMAL, 0),
    "away from zero": np.abs(NORMAL) + np.float32(0.1),
    "narrow, far from zero": NORMAL * np.float32(0.001) + 1,
    "tiny": NORMAL * np.float32(1e-28),
    "denormal": NORMAL * np.float32(1e-39),
    "huge": NORMAL * np.float32(1e35),
    "constant": np.full(99, 3, np.float32),
    "zeros": np.zeros(5, np.float32),
    "exactly on edges": (np.arange(BINS * 2 + 1) / (BINS * 2)).astype(np.float32),
    "one value": np.array([2.5], np.float32),
    "integers": np.random.default_rng(1).integers(-9, 9, 999),
    "float64": np.random.default_rng(2).standard_normal(999),
}


@pytest.mark.parametrize("name", CASES)
def test_magnitude_counts_equal_numpys_of_the_same_edges(name: str) -> None:
    values = CASES[name]
    edges = _edges(*magnitude_range(values))
    counts = magnitude_counts(values, edges)
    assert np.array_equal(counts, np.histogram(np.abs(values), bins=edges)[0])
    assert counts.sum() == values.size


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (0, 6), (0.001, 0.37), (0.3, 2.5), (1e-7, 123.4), (5, 7.3), (63, 65), (100, 101)],
    ids=str,
)
def test_magnitude_counts_of_float32_beside_each_edge_equal_numpys(low: float, high: float) -> None:
    edges = _edges(float(np.float32(low)), float(np.float32(high)))
    values = _neighbours(edges)
    assert np.array_equal(magnitude_counts(values, edges), np.histogram(np.abs(values), bins=edges)[0])


def test_magnitude_counts_leave_out_what_lies_outside_and_nan() -> None:
    edges = _edges(0.5, 2.0)
    values = np.array([0.1, 0.5, 2.0, 2.1, -1.0, -3.0, np.inf, np.nan], np.float32)
    counts = magnitude_counts(values, edges)
    assert counts.sum() == 3
    assert np.array_equal(counts, np.histogram(np.abs(values), bins=edges)[0])


@given(
    values=arrays.arrays(
        np.float32,
        st.integers(1, 200),
        elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
    ),
    bins=st.integers(1, 300),
)
def test_magnitude_counts_of_any_values_equal_numpys(values: Array, bins: int) -> None:
    edges = _edges(*magnitude_range(values), bins)
    assert np.array_equal(magnitude_counts(values, edges), np.histogram(np.abs(values), bins=edges)[0])


def test_magnitude_range_of_values_over_several_chunks_is_that_of_the_whole() -> None:
    magnitudes = np.abs(NORMAL)
    assert magnitude_range(NORMAL) == (float(magnitudes.min()), float(magnitudes.max()))


def test_magnitude_range_with_a_nan_is_nan() -> None:
    assert np.isnan(magnitude_range(np.array([1, np.nan], np.float32))).all()
