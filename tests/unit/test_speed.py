"""The interval of a speed-up covers as often as it says, also on a host that others take."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.contracts.evidence import Disturbance, SpeedRatio
from paddle_int8.tasks.validation.latency import turns
from paddle_int8.tasks.validation.speed import allowance_log, latency_summary, speed_ratio, student

Array = NDArray[np.float64]
QUIET = Disturbance(
    seconds=10.0,
    others_share=0.0,
    steal_share=0.0,
    waited_share=0.0,
    throttled_share=0.0,
    pressure_share=None,
    load=1.0,
    lowest_mhz=None,
    highest_mhz=None,
)
FP32_MS, INT8_MS = 6.0, 2.0
TRUE = FP32_MS / INT8_MS
TRIALS = 400


def at_least(confidence: float) -> float:
    """What the share of covering intervals exceeds in all but one of a thousand tests."""
    return confidence - 3.1 * math.sqrt(confidence * (1 - confidence) / TRIALS)


def interval(before: Array, after: Array, confidence: float = 0.95, **more: Disturbance) -> SpeedRatio:
    """before, after: [processes, rounds, calls]."""
    return speed_ratio(
        before.ravel(),
        after.ravel(),
        processes=len(before),
        calls=before.shape[2],
        confidence=confidence,
        **more,
    )


def covers(found: SpeedRatio) -> bool:
    return found.low <= TRUE <= found.high


def normal(draw: np.random.Generator, *shape: int) -> Array:
    return draw.normal(size=shape)


def heavy(draw: np.random.Generator, *shape: int) -> Array:
    return draw.standard_t(3, size=shape) / math.sqrt(3)


def skewed(draw: np.random.Generator, *shape: int) -> Array:
    """Most processes are alike, and some are slower."""
    return draw.exponential(size=shape) - 1


def levels(
    draw: np.random.Generator, processes: int, law: Callable[..., Array], deviations: tuple[float, ...]
) -> tuple[Array, Array]:
    """Two models whose processes, rounds and calls deviate by these fractions; rounds are shared by half."""
    rounds, calls = turns(200, processes)
    of_process, of_round, of_call = deviations
    shared = of_round * normal(draw, processes, rounds, 1)
    before, after = (
        typical
        * np.exp(
            of_process * law(draw, processes, 1, 1)
            + shared
            + of_round * normal(draw, processes, rounds, 1)
            + of_call * normal(draw, processes, rounds, calls)
        )
        for typical in (FP32_MS, INT8_MS)
    )
    return before, after


@pytest.mark.parametrize("law", [normal, heavy, skewed], ids=lambda law: law.__name__)
@pytest.mark.parametrize("deviations", [(0.03, 0.01, 0.02), (0.0, 0.01, 0.02)], ids=["layout", "no layout"])
@pytest.mark.parametrize("processes", [2, 3, 5, 10])
def test_interval_over_few_processes_covers_as_often_as_it_says(
    processes: int, deviations: tuple[float, ...], law: Callable[..., Array]
) -> None:
    draw = np.random.default_rng(7)
    covered = [covers(interval(*levels(draw, processes, law, deviations))) for _ in range(TRIALS)]
    assert np.mean(covered) >= at_least(0.95)


def test_interval_of_calls_alone_does_not_cover_the_next_process() -> None:
    """The fault that the processes are there for: one process's calls say nothing of its layout."""
    draw = np.random.default_rng(8)
    covered = []
    for _ in range(TRIALS):
        before, after = levels(draw, 5, normal, (0.03, 0.01, 0.02))
        ratios = np.median(before[0], axis=1) / np.median(after[0], axis=1)
        margin = student(0.95, len(ratios) - 1) * ratios.std(ddof=1) / math.sqrt(len(ratios))
        covered.append(abs(ratios.mean() - TRUE) <= margin)
    assert np.mean(covered) < 0.7


def test_interval_is_not_much_wider_than_it_must_be() -> None:
    draw = np.random.default_rng(9)
    widths = []
    for _ in range(TRIALS):
        found = interval(*levels(draw, 5, normal, (0.03, 0.0, 0.0)))
        widths.append(math.log(found.high / found.low) / 2)
    wanted = student(0.95, 4) * 0.03 * math.sqrt(2) / math.sqrt(5)
    assert np.mean(widths) == pytest.approx(wanted * 0.94, rel=0.05)  # 0.94: E[s] / sigma at 5 processes


def test_interval_is_not_narrow_because_processes_agree_by_chance() -> None:
    draw = np.random.default_rng(10)
    before, after = levels(draw, 3, normal, (0.0, 0.05, 0.05))
    equal = np.repeat(before[:1], 3, axis=0), np.repeat(after[:1], 3, axis=0)
    found = interval(*equal)
    assert math.log(found.high / found.low) > 0.02


def test_interval_moves_with_its_drift_that_both_models_share() -> None:
    drift = (1 + 0.5 * np.sin(np.arange(180) / 20)).reshape(5, 6, 6)
    found = interval(9.0 * drift, 3.0 * drift)
    assert (found.ratio, found.processes, found.allowance) == (pytest.approx(3.0), 5, 0.0)
    assert found.low < 3.0 < found.high


def test_interval_of_the_same_timings_is_the_same() -> None:
    before, after = levels(np.random.default_rng(11), 5, normal, (0.03, 0.01, 0.02))
    assert interval(before, after) == interval(before, after)
    wider = interval(before, after, confidence=0.99)
    assert wider.low < interval(before, after).low
    assert wider.high > interval(before, after).high


class Stolen:
    """A CPU that a hypervisor takes away for a share of the time, in pieces of about `piece_ms`, unseen."""

    def __init__(self, draw: np.random.Generator, share: float, piece_ms: float) -> None:
        self._draw, self._share, self._piece_ms = draw, share, piece_ms
        self._left_ms = self._kept_ms()

    def wall_ms(self, own_ms: float) -> float:
        """How long a call takes that needs the CPU for `own_ms`."""
        wall_ms = own_ms
        while own_ms > self._left_ms:
            own_ms -= self._left_ms
            wall_ms += self._draw.exponential(self._piece_ms)
            self._left_ms = self._kept_ms()
        self._left_ms -= own_ms
        return wall_ms

    def _kept_ms(self) -> float:
        kept: float = self._draw.exponential(self._piece_ms * (1 - self._share) / self._share)
        return kept

    def times(self, typical_ms: float, shape: tuple[int, ...]) -> Array:
        calls = typical_ms * np.exp(0.01 * self._draw.normal(size=shape))
        return np.array([self.wall_ms(call) for call in calls.ravel()]).reshape(shape)


@pytest.mark.parametrize("piece_ms", [0.5, 3.0, 30.0], ids=lambda piece: f"{piece:g} ms")
@pytest.mark.parametrize("share", [0.1, 0.3, 0.47, 0.6], ids=lambda share: f"{100 * share:g} %")
def test_interval_on_a_host_whose_hypervisor_takes_a_share_covers_the_quiet_ratio(
    share: float, piece_ms: float
) -> None:
    host, shape = Stolen(np.random.default_rng(12), share, piece_ms), (5, 6, 6)
    taken = dataclasses.replace(QUIET, steal_share=share)
    found = [
        interval(host.times(FP32_MS, shape), host.times(INT8_MS, shape), disturbance=taken) for _ in range(40)
    ]
    assert all(map(covers, found))
    assert f"the host was taken for {100 * share:.0f} % of the time" in taken.described()


def test_interval_without_the_allowance_would_be_wrong_on_such_a_host() -> None:
    host, shape = Stolen(np.random.default_rng(13), 0.47, 3.0), (5, 6, 6)
    found = [interval(host.times(FP32_MS, shape), host.times(INT8_MS, shape)) for _ in range(40)]
    assert np.mean(list(map(covers, found))) < 0.5


def test_allowance_grows_with_every_kind_of_disturbance_and_stays_finite() -> None:
    assert allowance_log(QUIET) == 0.0
    assert allowance_log(dataclasses.replace(QUIET, steal_share=0.5)) == pytest.approx(math.log(2))
    for name in ("others_share", "waited_share", "throttled_share"):
        little, much, all_of_it = (
            allowance_log(dataclasses.replace(QUIET, **{name: share})) for share in (0.1, 0.5, 1.0)
        )
        assert 0 < little < much < all_of_it < math.inf


@pytest.mark.parametrize(
    ("processes", "length", "calls", "value"),
    [(1, 40, 1, 1.0), (3, 40, 1, 1.0), (5, 40, 3, 1.0), (2, 40, 1, 0.0), (2, 40, 1, math.nan)],
    ids=["one process", "uneven processes", "uneven turns", "zero", "NaN"],
)
def test_speed_ratio_of_unusable_latencies_is_refused(
    processes: int, length: int, calls: int, value: float
) -> None:
    with pytest.raises(MeasurementError):
        speed_ratio(
            np.ones(length), np.full(length, value), processes=processes, calls=calls, confidence=0.95
        )


def test_latency_summary_counts_samples_per_second() -> None:
    summary = latency_summary(np.arange(1, 102, dtype=float), batch_size=4)
    assert (summary.p50_ms, summary.p90_ms, summary.p99_ms) == (51.0, 91.0, 100.0)
    assert (summary.mean_ms, summary.repeats) == (51.0, 101)
    assert summary.throughput_per_s == pytest.approx(4000 / 51)
