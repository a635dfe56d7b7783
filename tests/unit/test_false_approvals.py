"""The labels, the plan and the figures of the benchmark `false_approvals`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.false_approvals import Record, interval, planned, recorded, table
from benchmarks.false_approvals_population import drop_pp, noised

RECORD = Record(
    number=0,
    strategy="auto",
    wrong=True,
    outcome="inconclusive",
    chosen="a",
    drops_pp={"a": 3.02, "b": 3.03},
    searched=True,
    same_answers=True,
    seconds=8.0,
)


@pytest.mark.parametrize("target_pp", [3.02, 0.5])
def test_labels_make_each_candidate_lose_the_target_or_hardly_more(target_pp: float) -> None:
    draw, samples = np.random.default_rng(0), 20_000
    baseline = draw.integers(0, 2, samples)
    first = np.where(draw.random(samples) < 0.05, 1 - baseline, baseline)
    second = np.where(draw.random(samples) < 0.2, 1 - first, first)
    labels = noised(draw, baseline, [first, second], target_pp)
    for each in (first, second):
        assert target_pp <= drop_pp(labels, baseline, each) + 1e-9 < target_pp + 0.02


def test_labels_of_a_population_without_known_candidates_are_mostly_what_the_baseline_answers() -> None:
    baseline = np.zeros(10_000, np.int64)
    labels = noised(np.random.default_rng(0), baseline, [], 3.0)
    assert (labels == baseline).mean() == pytest.approx(0.955, abs=0.01)


def test_five_of_six_releases_with_each_strategy_have_wrong_candidates() -> None:
    assert Counter(map(planned, range(240))) == {
        ("auto", True): 100,
        ("mixed", True): 100,
        ("auto", False): 20,
        ("mixed", False): 20,
    }


def test_interval_is_that_of_clopper_and_pearson() -> None:
    assert interval(0, 100) == (0.0, pytest.approx(1 - 0.025 ** (1 / 100)))
    assert interval(10, 200) == pytest.approx((0.02422, 0.09001), abs=1e-4)


def test_approved_candidate_is_false_where_its_true_drop_is_beyond_the_margin(tmp_path: Path) -> None:
    false = replace(RECORD, outcome="approved")
    right = replace(false, wrong=False, drops_pp={"a": 0.5})
    lines = [json.dumps(asdict(each)) + "\n" for each in (RECORD, false, right)]
    (tmp_path / "releases.jsonl").write_text("".join(lines), encoding="utf-8")
    assert recorded(tmp_path) == [RECORD, false, right]
    rows = [line for line in table(recorded(tmp_path)) if line.startswith(("| wrong", "| right"))]
    assert rows[0] == "| wrong | `auto` | 2 | 2 | 3.02 to 3.02 | 1 | 50.0 %, 1.3 to 98.7 |"
    assert rows[2] == "| right | `auto` | 1 | 1 | 0.50 to 0.50 | 1 | 100.0 %, 2.5 to 100.0 |"
