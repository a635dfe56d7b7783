"""The warning before a release whose validation data are too few."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.gate.looks import shared
from paddle_int8.tasks.gate.plan import goes_on_with, planned, samples_for_two, why_alone
from paddle_int8.tasks.gate.sufficiency import margin_within, table, too_few
from paddle_int8.tasks.strategies import STRATEGIES
from paddle_int8.tasks.validation.statistics import fewest_samples, paired_drop_bounds


def test_sufficiency_three_hundred_pictures_without_those_of_the_calibration_are_too_few() -> None:
    said = too_few(300 - 64, GateConfig(), 64)
    assert said is not None
    assert "at least 299 samples" in said
    assert "`gate.max_drop_pp` to 1.3 or more" in said
    assert "fewer than 64" in said


@pytest.mark.parametrize(("samples", "told"), [(298, True), (299, False)], ids=["one less", "just enough"])
def test_sufficiency_ends_where_nothing_lost_is_approved(samples: int, told: bool) -> None:
    assert (too_few(samples, GateConfig()) is not None) is told
    _, upper_pp = paired_drop_bounds(0, 0, samples, confidence=0.95)
    assert (upper_pp > 1.0) is told


def test_sufficiency_of_a_margin_of_everything_is_one_sample() -> None:
    assert too_few(1, GateConfig(max_drop_pp=100)) is None


@pytest.mark.parametrize(("samples", "told"), [(475, True), (476, True), (477, False)])
def test_sufficiency_for_six_candidates_ends_where_independent_ones_are_approved(
    samples: int, told: bool
) -> None:
    said = too_few(samples, GateConfig(), candidates=6)
    assert (said is not None) is told
    _, upper_pp = paired_drop_bounds(0, 0, samples, confidence=1 - 0.05 / 6)
    assert (upper_pp > 1.0) is told
    assert said is None or "at least 477 samples" in said


def test_sufficiency_for_planned_releases_uses_the_share_of_one() -> None:
    said = too_few(400, GateConfig(releases=10))
    assert said is not None
    assert "at least 528 samples" in said


@given(st.integers(1, 20_000), st.floats(0.6, 0.999))
def test_margin_within_is_the_narrowest_that_so_many_samples_decide(samples: int, confidence: float) -> None:
    margin_pp = margin_within(samples, confidence=confidence)
    assert fewest_samples(margin_pp, confidence=confidence) <= samples or margin_pp == 100.0
    if margin_pp > 0.1:
        assert fewest_samples(margin_pp - 0.1, confidence=confidence) >= samples


def test_table_half_of_the_margin_lost_is_approved_with_its_number_of_samples() -> None:
    for row in table():
        margin, _, found = row.strip("| ").split(" | ")
        margin_pp, samples = float(margin), int(found.replace(",", ""))
        lost = int(samples * margin_pp / 200)
        assert paired_drop_bounds(lost, 0, samples, confidence=0.95)[1] <= margin_pp


@pytest.mark.parametrize(
    ("strategy", "samples", "candidates", "releases"),
    [("grid", 1000, 9, 1), ("mixed", 700, 1, 1), ("auto", 1000, 9, 2)],
)
def test_plan_follows_the_strategy(strategy: str, samples: int, candidates: int, releases: int) -> None:
    plan = planned(demo(strategy), 1000)
    assert (plan.samples, plan.candidates, plan.gate.releases) == (samples, candidates, releases)


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_grid_has_the_whole_error_where_samples_do_not_decide_a_second_test(share: float) -> None:
    config = demo("auto")
    config = config.model_copy(
        update={"validation": config.validation.model_copy(update={"search_share": share})}
    )
    enough = samples_for_two(config)
    assert goes_on_with(config, enough) is STRATEGIES.find("mixed")
    assert goes_on_with(config, enough - 1) is None
    assert planned(config, enough - 1).gate == config.gate
    half = shared(config.gate)
    assert too_few(enough, half, candidates=9) is None
    unseen = int(enough * (1 - share))
    assert too_few(unseen, half) is None
    assert share == 0.3 or too_few(unseen - 1, half) is not None


def test_no_search_goes_on_from_layers_that_are_quantized_as_one() -> None:
    config = demo("auto")
    quantization = config.quantization.model_copy(update={"layouts": ("recurrent", "recurrent_7bit")})
    recurrent = config.model_copy(update={"quantization": quantization})
    assert goes_on_with(config, 5000) is not None
    assert goes_on_with(recurrent, 5000) is None
    assert planned(recurrent, 5000).gate == recurrent.gate
    assert (
        why_alone(recurrent, 5)
        == why_alone(recurrent, 5000)
        == "none of their operators can be kept in FP32 one by one"
    )


def demo(strategy: str) -> ReleaseConfig:
    config = load_config(Path(__file__).parents[2] / "configs" / "digits_mobilenet_v1.yaml")
    quantization = config.quantization.model_copy(update={"strategy": strategy})
    return config.model_copy(update={"quantization": quantization})
