import math
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.validation.statistics import (
    fewest_samples,
    graded_drop_bounds,
    metric_evidence,
    paired_drop_bounds,
    samples_needed,
)
from tests.unit.evidence_factory import counted, graded

CONFIDENCES = (0.8, 0.95, 0.99)
MOST_DISCORDANT = 0.1
ROUNDING = 1e-7


@cache
def bounds(lost: int, gained: int, samples: int, confidence: float) -> tuple[float, float]:
    """As fractions."""
    low, high = paired_drop_bounds(lost, gained, samples, confidence=confidence)
    return low / 100, high / 100


def probabilities(lost_rate: float, gained_rate: float, samples: int, cells: NDArray[np.int64]) -> NDArray:
    """The probability of each pair (lost, gained) in `cells` [N, 2]."""
    gained = stats.binom.pmf(cells[:, 1], samples, gained_rate)
    return gained * stats.binom.pmf(cells[:, 0], samples - cells[:, 1], lost_rate / (1 - gained_rate))


def discordant_cells(samples: int) -> NDArray[np.int64]:
    """Every (lost, gained) that has a chance at a discordant rate of 10 %."""
    most = int(stats.binom.ppf(1 - 1e-9, samples, MOST_DISCORDANT))
    return np.array([(lost, both - lost) for both in range(most + 1) for lost in range(both + 1)])


@pytest.mark.parametrize(("samples", "confidence"), [(50, 0.8), (50, 0.95), (50, 0.99), (150, 0.95)], ids=str)
def test_paired_bounds_cover_at_the_worst_truth_by_enumeration(samples: int, confidence: float) -> None:
    """Coverage is lowest just beyond a value that the bound can take: those are the truths tried."""
    cells = discordant_cells(samples)
    lows, highs = np.array([bounds(*cell, samples, confidence) for cell in cells.tolist()]).T
    worst = {"upper": 1.0, "lower": 1.0}
    attained = np.unique(highs[np.abs(highs) < MOST_DISCORDANT])
    for bound in attained[np.linspace(0, len(attained) - 1, 40).astype(int)]:
        drop = bound + 1e-9
        for gained_rate in max(0, -drop) + np.geomspace(1e-9, 1, 16) * (MOST_DISCORDANT - abs(drop)) / 2:
            chance = probabilities(drop + gained_rate, gained_rate, samples, cells)
            worst["upper"] = min(worst["upper"], 1 - chance[highs < drop].sum())
            mirrored = probabilities(gained_rate, drop + gained_rate, samples, cells)
            worst["lower"] = min(worst["lower"], 1 - mirrored[lows > -drop].sum())
    for name, coverage in worst.items():
        assert coverage >= confidence - ROUNDING, f"{name} bound covers {coverage:.5f}"
        assert coverage <= confidence + 0.002, f"{name} bound is wider than it must be: {coverage:.5f}"


def stratified_coverage(samples: int, lost_rate: float, gained_rate: float, confidence: float) -> float:
    """Coverage of the upper bound: gained drawn at even quantiles, lost summed exactly."""
    drop, share = lost_rate - gained_rate, lost_rate / (1 - gained_rate)
    strata = (np.arange(9) + 0.5) / 9
    missed = []
    for gained in stats.binom.ppf(strata, samples, gained_rate).astype(int).tolist():
        most = int(stats.binom.ppf(1 - 1e-6, samples - gained, share))
        fewest, covered = -1, most + 1
        while covered - fewest > 1:
            middle = (covered + fewest) // 2
            if bounds(middle, gained, samples, confidence)[1] >= drop:
                covered = middle
            else:
                fewest = middle
        missed.append(stats.binom.cdf(covered - 1, samples - gained, share))
    return 1 - float(np.mean(missed))


@pytest.mark.parametrize("lost_share", [0.0, 0.5, 0.7, 1.0], ids="{:.0%} of discordants lost".format)
@pytest.mark.parametrize("rate", [0.0, 0.001, 0.02, 0.1], ids="{:.1%} discordant".format)
@pytest.mark.parametrize("samples", [2000, 50_000])
def test_paired_bounds_cover_in_large_samples(samples: int, rate: float, lost_share: float) -> None:
    lost_rate = rate * lost_share
    coverage = stratified_coverage(samples, lost_rate, rate - lost_rate, 0.95)
    assert coverage >= 0.95 - 1e-3
    if rate * samples >= 1000 and lost_share > 0:
        assert coverage <= 0.965


def test_paired_bounds_cover_in_simulated_outcomes() -> None:
    draw = np.random.default_rng(20260101)
    truth, covered = 0.03 - 0.01, []
    for lost, gained, _ in draw.multinomial(400, (0.03, 0.01, 0.96), size=4000).tolist():
        low, high = bounds(lost, gained, 400, 0.95)
        covered.append((low <= truth, high >= truth))
    below, above = np.mean(covered, axis=0)
    error = 3 * math.sqrt(0.95 * 0.05 / 4000)
    assert min(below, above) >= 0.95 - error


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("samples", [1, 20, 299, 50_000])
def test_paired_bounds_without_discordants_are_the_rule_of_three(samples: int, confidence: float) -> None:
    low, high = paired_drop_bounds(0, 0, samples, confidence=confidence)
    assert high == pytest.approx(100 * (1 - (1 - confidence) ** (1 / samples)), rel=1e-10)
    assert low == -high


def test_paired_upper_bound_without_gains_is_clopper_pearson() -> None:
    _, high = paired_drop_bounds(7, 0, 500, confidence=0.95)
    assert high == pytest.approx(100 * stats.beta.ppf(0.95, 8, 493), rel=1e-12)


@pytest.mark.parametrize(
    ("lost", "gained", "samples"), [(3, 3, 300), (10, 10, 1000), (40, 2, 90), (1, 300, 5000), (24, 25, 50)]
)
def test_paired_upper_bound_is_the_dirichlet_quantile(lost: int, gained: int, samples: int) -> None:
    draws = np.random.default_rng(1).dirichlet((lost + 1, gained, samples - lost - gained), 200_000)
    beyond = (draws[:, 0] - draws[:, 1] > bounds(lost, gained, samples, 0.95)[1]).mean()
    assert beyond == pytest.approx(0.05, abs=5 * math.sqrt(0.05 * 0.95 / 200_000))


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[int, int, int]:
    samples = draw(st.integers(1, 50_000))
    lost = draw(st.integers(0, min(samples, draw(st.sampled_from((3, 100, 50_000))))))
    return lost, draw(st.integers(0, min(samples - lost, 2000))), samples


@settings(max_examples=60)
@given(outcomes(), st.sampled_from(CONFIDENCES))
def test_paired_bounds_enclose_the_estimate_and_mirror_when_swapped(
    counts: tuple[int, int, int], confidence: float
) -> None:
    lost, gained, samples = counts
    low, high = bounds(lost, gained, samples, confidence)
    assert -1 <= low <= (lost - gained) / samples <= high <= 1
    assert bounds(gained, lost, samples, confidence) == (-high, -low)


@settings(max_examples=60)
@given(outcomes())
@example((2516, 1940, 4457))  # nearly every sample differs
def test_paired_bounds_worsen_with_losses_and_with_confidence(counts: tuple[int, int, int]) -> None:
    lost, gained, samples = counts
    low, high = bounds(lost, gained, samples, 0.95)
    if lost + gained < samples:
        more_low, more_high = bounds(lost + 1, gained, samples, 0.95)
        assert more_high > high - ROUNDING
        assert more_low > low - ROUNDING
        assert bounds(lost, gained + 1, samples, 0.95)[1] < high + ROUNDING
    surer_low, surer_high = bounds(lost, gained, samples, 0.99)
    assert surer_low <= low + ROUNDING
    assert surer_high >= high - ROUNDING


@pytest.mark.parametrize(
    ("lost", "gained", "samples", "confidence"),
    [
        (0, 0, 0, 0.95),
        (-1, 0, 10, 0.95),
        (6, 5, 10, 0.95),
        (1, 1, 10, 0.5),
        (1, 1, 10, 1.0),
        (1, 1, 9, math.nan),
    ],
    ids=["no samples", "negative", "more than samples", "confidence 0.5", "confidence 1", "confidence NaN"],
)
def test_paired_bounds_of_impossible_counts_are_refused(
    lost: int, gained: int, samples: int, confidence: float
) -> None:
    with pytest.raises(MeasurementError):
        paired_drop_bounds(lost, gained, samples, confidence=confidence)


def test_graded_bounds_of_outcomes_agree_with_the_paired_ones() -> None:
    baseline, candidate = np.ones(1000), np.ones(1000)
    candidate[:30], baseline[30:50] = 0, 0
    graded_low, graded_high = graded_drop_bounds(baseline, candidate, confidence=0.95)
    low, high = paired_drop_bounds(30, 20, 1000, confidence=0.95)
    assert (graded_low, graded_high) == (pytest.approx(low, abs=0.03), pytest.approx(high, abs=0.03))


def test_graded_bounds_of_identical_differences_are_not_certain() -> None:
    low, high = graded_drop_bounds(np.full(100, 0.8), np.full(100, 0.8), confidence=0.95)
    by_the_rule_of_three = 100 * (1 - 0.05 ** (1 / 100))
    assert high == pytest.approx(by_the_rule_of_three, rel=0.03)
    assert low == pytest.approx(-by_the_rule_of_three, rel=0.03)


def test_graded_bounds_scale_with_scores_beyond_fractions() -> None:
    draw = np.random.default_rng(3)
    baseline = draw.random(300)
    baseline[:2] = 0, 1
    candidate = np.clip(baseline + draw.normal(-0.01, 0.05, 300), 0, 1)
    once = graded_drop_bounds(baseline, candidate, confidence=0.95)
    assert graded_drop_bounds(10 * baseline, 10 * candidate, confidence=0.95) == pytest.approx(
        [10 * bound for bound in once]
    )


def test_graded_bounds_of_many_samples_are_close_to_the_normal_ones() -> None:
    draw = np.random.default_rng(4)
    baseline = draw.random(50_000)
    candidate = baseline - draw.normal(0.002, 0.05, 50_000)
    _, high = graded_drop_bounds(baseline, candidate, confidence=0.95)
    drops = baseline - candidate
    normal = 100 * (drops.mean() + 1.645 * drops.std() / math.sqrt(50_000))
    assert normal < high < normal + 0.01


DROPS = {
    "rare large losses": lambda draw: 0.6 * (draw.random(60) < 0.02),
    "skewed": lambda draw: draw.beta(0.2, 4.0, 60),
    "both ways": lambda draw: draw.normal(0.01, 0.1, 60).clip(-0.5, 0.5),
}
MEANS = {"rare large losses": 0.012, "skewed": 0.2 / 4.2, "both ways": 0.01}


@pytest.mark.parametrize("kind", DROPS)
def test_graded_bounds_cover_in_simulation(kind: str) -> None:
    draw = np.random.default_rng(5)
    covered = []
    for _ in range(250):
        drops = DROPS[kind](draw)
        low, high = graded_drop_bounds(np.full(60, 0.5), 0.5 - drops, confidence=0.95, draws=1000)
        covered.append((low <= 100 * MEANS[kind], high >= 100 * MEANS[kind]))
    assert np.mean(covered, axis=0).min() >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 250)


def test_metric_evidence_of_outcomes_counts_discordants() -> None:
    evidence = metric_evidence(
        "top1", np.array([1.0, 1, 1, 0, 0]), np.array([1.0, 0, 0, 1, 0]), confidence=0.95
    )
    assert (evidence.lost, evidence.gained, evidence.samples) == (2, 1, 5)
    assert (evidence.baseline, evidence.candidate, evidence.drop_pp) == (0.6, 0.4, 20.0)
    assert (evidence.drop_lower_pp, evidence.drop_upper_pp) == paired_drop_bounds(2, 1, 5, confidence=0.95)


def test_metric_evidence_of_graded_scores_has_no_counts() -> None:
    evidence = metric_evidence("f1", [0.5, 1.0, 0.0], [0.5, 0.9, 0.0], confidence=0.9)
    assert evidence.lost is evidence.gained is None
    assert evidence.drop_pp == pytest.approx(100 * 0.1 / 3)
    assert evidence.drop_lower_pp < evidence.drop_pp < evidence.drop_upper_pp


@pytest.mark.parametrize(
    ("baseline", "candidate"),
    [([], []), ([1.0], [1.0, 0.0]), ([1.0, math.nan], [1.0, 1.0]), ([[1.0]], [[1.0]])],
    ids=["empty", "unpaired", "NaN", "two dimensions"],
)
def test_metric_evidence_of_unusable_scores_is_refused(baseline: list, candidate: list) -> None:
    with pytest.raises(MeasurementError):
        metric_evidence("top1", baseline, candidate, confidence=0.95)


@pytest.mark.parametrize(
    ("lost", "gained", "samples"), [(0, 0, 20), (1, 1, 100), (2, 3, 200), (9, 5, 700)], ids=str
)
def test_samples_needed_is_the_first_number_that_decides(lost: int, gained: int, samples: int) -> None:
    needed = samples_needed(counted(lost=lost, gained=gained, samples=samples), margin_pp=1.0)
    assert needed is not None
    assert needed > samples
    scale = 1000
    many = samples_needed(
        counted(lost=lost * scale, gained=gained * scale, samples=samples * scale), margin_pp=1.0
    )
    assert many == samples * scale  # the same rates, long decided
    rounds = math.ceil(needed / samples)
    assert paired_drop_bounds(lost * rounds, gained * rounds, samples * rounds, confidence=0.95)[1] <= 1.0
    fewer = rounds - 1
    if fewer and fewer * samples < needed:
        assert paired_drop_bounds(lost * fewer, gained * fewer, samples * fewer, confidence=0.95)[1] > 1.0


def test_samples_needed_without_discordants_is_exact() -> None:
    assert samples_needed(counted(lost=0, gained=0, samples=20), margin_pp=1.0) == 299


@pytest.mark.parametrize(
    "metric", [counted(lost=2, gained=1, samples=100), graded(-1.0, 1.0, 3.0)], ids=["counted", "graded"]
)
def test_samples_needed_at_a_drop_of_the_margin_is_none(metric) -> None:  # type: ignore[no-untyped-def]
    assert samples_needed(metric, margin_pp=1.0) is None


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("margin_pp", [0.1, 1.0, 7.5, 100.0])
def test_fewest_samples_is_the_first_number_that_approves_equal_outcomes(
    margin_pp: float, confidence: float
) -> None:
    fewest = fewest_samples(margin_pp, confidence=confidence)
    assert 100 * bounds(0, 0, fewest, confidence)[1] <= margin_pp
    assert fewest == 1 or 100 * bounds(0, 0, fewest - 1, confidence)[1] > margin_pp


def test_samples_needed_of_graded_scores_grows_with_the_square() -> None:
    assert samples_needed(graded(-2.0, 0.0, 2.0, samples=500), margin_pp=1.0) == 2000


def test_samples_needed_beyond_a_billion_is_none() -> None:
    assert samples_needed(graded(0.0, 1.0 - 1e-9, 2.0), margin_pp=1.0) is None


@pytest.mark.parametrize(("lost", "change"), [(0, "0.00"), (1, "-5.00")])
def test_change_that_rounds_to_nothing_has_no_sign(lost: int, change: str) -> None:
    before = np.ones(20)
    after = np.where(np.arange(20) < lost, 0.0, before)
    assert metric_evidence("top1", before, after, confidence=0.95).change == change
