"""False approvals of whole releases, by simulation: at most 5 %, whatever the number of candidates.

A case has 500 releases, so the observed share has a standard deviation of 1 point at 5 %, and a case fails
when it exceeds 5 % by three of them. `python -m benchmarks.looks` simulates more releases, and other
methods.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.looks import (
    ERROR,
    Setting,
    Truth,
    adaptive_rates,
    at_margin,
    auto_rates,
    draw_outcomes,
    joint_approvals,
    mixed,
    rates,
    within,
)

RELEASES = 500
MOST = ERROR + 3 * math.sqrt(ERROR * (1 - ERROR) / RELEASES)
TOGETHER = "together"


def false(setting: Setting, method: str = TOGETHER) -> float:
    return rates(setting, method, releases=RELEASES)[method].false


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("count", [1, 6, 24, 48])
def test_verdicts_on_candidates_at_the_margin_are_false_in_at_most_5_percent(count: int, rho: float) -> None:
    assert false(Setting(truths=(at_margin(),) * count, samples=1_000, rho=rho)) <= MOST


@pytest.mark.parametrize("beyond", [1.2, 2.0])
def test_verdicts_on_candidates_beyond_the_margin_are_false_more_rarely(beyond: float) -> None:
    assert false(Setting(truths=(at_margin(beyond=beyond),) * 24, samples=1_000, rho=0.5)) <= ERROR


@pytest.mark.parametrize("samples", [500, 3_000])
def test_verdicts_beside_right_candidates_are_false_in_at_most_5_percent(samples: int) -> None:
    """Right candidates leave the family, and the others are tested with more error: still at most 5 %."""
    truths = (at_margin(),) * 6 + (within(part=0.0),) * 6
    assert false(Setting(truths=truths, samples=samples, rho=0.3)) <= MOST


def test_verdicts_that_are_not_corrected_are_false_far_more_often() -> None:
    """The simulation sees what it is there to see."""
    assert false(Setting(truths=(at_margin(),) * 24, samples=1_000, rho=0.0), "uncorrected") > 0.4


def test_verdicts_on_several_metrics_are_false_in_at_most_5_percent() -> None:
    """Each candidate fails one of its two metrics, and passes the other; which one differs."""
    count, draw = 12, np.random.default_rng(1)
    truths = tuple(
        at_margin() if (place + metric) % 2 else within() for place in range(count) for metric in range(2)
    )
    setting = Setting(truths=truths, samples=1_000, rho=0.5)
    groups = [[2 * place, 2 * place + 1] for place in range(count)]
    approved = [
        any(joint_approvals(draw_outcomes(draw, setting), groups, setting.margin)) for _ in range(RELEASES)
    ]
    assert np.mean(approved) <= MOST


def test_search_that_learns_is_confirmed_falsely_in_at_most_5_percent() -> None:
    """A correction for the candidates that a search visited is not enough: it could have visited others."""
    found = adaptive_rates(1_000, releases=RELEASES, rounds=12, neighbours=4)
    assert found["confirmation"] <= MOST
    assert found[TOGETHER] > 2 * ERROR


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("candidates", [1, 6])
def test_grid_and_a_search_that_goes_on_are_false_in_at_most_5_percent_together(
    candidates: int, alike: float
) -> None:
    assert auto_rates(1_000, releases=RELEASES, candidates=candidates, alike=alike)["halved"] <= MOST


def test_grid_and_a_search_with_the_whole_error_for_each_are_false_far_more_often() -> None:
    found = auto_rates(3_000, releases=2 * RELEASES, candidates=1, alike=0.0)["whole"]
    assert found > ERROR + 2 * math.sqrt(ERROR * (1 - ERROR) / (2 * RELEASES))


@pytest.mark.parametrize("method", ["search 30 %", "search 50 %"])
def test_confirmation_on_untouched_samples_is_false_in_at_most_5_percent(method: str) -> None:
    assert false(Setting(truths=(at_margin(),) * 24, samples=1_000, rho=0.5), method) <= MOST


def test_power_of_correlated_candidates_is_near_that_of_one() -> None:
    alone = rates(mixed(1, 2_000, 0.0, 0.01), "uncorrected", releases=RELEASES)["uncorrected"].right
    alike = Setting(truths=(within(),) * 24, samples=2_000, rho=0.95)
    found = rates(alike, TOGETHER, "Holm", releases=RELEASES)
    assert found[TOGETHER].right > alone - 0.1
    assert found[TOGETHER].right > found["Holm"].right + 0.1


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.95])
def test_simulated_outcomes_have_their_rates_and_their_correlation(rho: float) -> None:
    draw, truth = np.random.default_rng(3), Truth(lost=0.03, gained=0.01)
    drawn = draw_outcomes(draw, Setting(truths=(truth,) * 2, samples=400_000, rho=rho))
    rows = np.zeros((2, drawn.samples))
    rows[:, : drawn.found.shape[1]] = drawn.found
    assert (rows > 0).mean(axis=1) == pytest.approx([0.03] * 2, rel=0.03)
    assert (rows < 0).mean(axis=1) == pytest.approx([0.01] * 2, rel=0.06)
    assert np.corrcoef(rows)[0, 1] == pytest.approx(rho, abs=0.02)
