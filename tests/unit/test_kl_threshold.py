"""The closed-form KL threshold equals that of Paddle's own function, which runs in its own process."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from paddle_int8.tasks.engines.paddle.quantization.kl import kl_threshold
from paddle_int8.tasks.process.isolated import run_isolated

Array = npt.NDArray[Any]

BITS = 8
BIN_WIDTH = 0.0123
PADDLES_BINS = 2048


def _counts(values: Array, bins: int = PADDLES_BINS) -> Array:
    magnitudes = np.abs(values)
    return np.histogram(magnitudes, bins=bins, range=(magnitudes.min(), magnitudes.max()))[0]


def _cases() -> dict[str, Array]:
    generator = np.random.default_rng(0)
    only_1500 = np.zeros(PADDLES_BINS, int)
    only_1500[1500] = 5
    last_compared = np.zeros(PADDLES_BINS, int)
    last_compared[1022] = 5
    below_compared = np.zeros(PADDLES_BINS, int)
    below_compared[1021] = 5
    ends = np.zeros(PADDLES_BINS, int)
    ends[[0, -1]] = 1
    empty_middle = generator.integers(1, 9, PADDLES_BINS)
    empty_middle[700:1600] = 0
    cases = {
        "relu of normal": _counts(np.maximum(generator.standard_normal(3000), 0)),
        "heavy tail": _counts(generator.standard_cauchy(10_000)),
        "cubed normal": _counts(generator.standard_normal(50_000) ** 3),
        "few samples": _counts(generator.standard_normal(300)),
        "constant tensor": _counts(np.ones(100)),
        "all bins empty": np.zeros(PADDLES_BINS, int),
        "both ends only": ends,
        "one bin in the compared half": only_1500,
        "first compared bin only": last_compared,
        "one bin below the compared half": below_compared,
        "empty middle": empty_middle,
        "sparse": (generator.random(PADDLES_BINS) < 0.02) * 5,
    }
    for seed in range(40):
        draw = np.random.default_rng(seed)
        bins = int(draw.integers(260, 700))
        density = draw.random()
        cases[f"random {seed}"] = (draw.random(bins) < density) * draw.integers(1, 1 + 2 ** (seed % 20), bins)
    for count in (1, 7):
        cases[f"every bin {count}"] = np.full(300, count)
    cases["alternating"] = np.tile([0, 3], 250)
    cases["fewer bins than levels"] = generator.integers(0, 4, 100)
    return cases


CASES = _cases()


def paddles_thresholds(cases: dict[str, Array]) -> dict[str, float]:
    """Runs in an isolated process."""
    from paddle.static.quantization.cal_kl_threshold import cal_kl_threshold

    return {name: float(cal_kl_threshold(hist, BIN_WIDTH, BITS)) for name, hist in cases.items()}


@pytest.fixture(scope="module")
def paddles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    log = tmp_path_factory.mktemp("kl") / "paddle.log"
    return run_isolated(paddles_thresholds, CASES, step="Paddle's KL", log=log, timeout_s=300)


@pytest.mark.paddle
@pytest.mark.parametrize("name", CASES)
def test_kl_threshold_of_a_histogram_is_bit_equal_to_paddles(name: str, paddles: dict[str, float]) -> None:
    assert kl_threshold(CASES[name], BIN_WIDTH, BITS) == paddles[name]


def test_kl_threshold_of_an_empty_histogram_is_half_a_bin() -> None:
    assert kl_threshold(np.zeros(PADDLES_BINS, int), 0.5, BITS) == 0.25


def test_kl_threshold_of_a_dense_histogram_takes_less_than_5_ms() -> None:
    hist = _counts(np.random.default_rng(0).standard_normal(1_000_000))
    seconds = []
    for _ in range(20):
        started = time.process_time()
        kl_threshold(hist, BIN_WIDTH, BITS)
        seconds.append(time.process_time() - started)
    assert min(seconds) < 5e-3


@pytest.mark.parametrize("hist", [np.ones(3, int), np.ones((4, 4), int)], ids=["three bins", "a table"])
def test_kl_threshold_of_another_shape_is_refused(hist: Array) -> None:
    with pytest.raises(ValueError, match="at least 4 bins"):
        kl_threshold(hist, BIN_WIDTH, BITS)
