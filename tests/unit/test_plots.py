import dataclasses
import math
import re
from xml.etree import ElementTree

import pytest

from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome
from paddle_int8.tasks.tracking.plots import VERMILION, Plot, accuracy_drop, activation_ranges, release_plots
from tests.release_factory import (
    build_candidates,
    build_config,
    build_evidence,
    build_release,
    build_scales,
)

EVERY = {"accuracy", "speedup", "latency", "kernels", "isa_matrix", "calibration"}


@pytest.fixture(scope="module")
def plots() -> dict[str, Plot]:
    return release_plots(build_release(), build_config(), build_scales())


def texts(plot: Plot) -> set[str]:
    """What a reader can read in a figure."""
    root = ElementTree.fromstring(plot.svg)
    return {"".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")}


def test_plots_of_a_whole_release_are_all_drawn_and_described(plots: dict[str, Plot]) -> None:
    assert set(plots) == EVERY
    assert all(plot.description.endswith(".") for plot in plots.values())
    assert all(plot.question.endswith("?") for plot in plots.values())


@pytest.mark.parametrize("name", ["accuracy", "speedup", "latency", "isa_matrix"])
def test_plot_of_candidates_names_every_candidate(plots: dict[str, Plot], name: str) -> None:
    assert {candidate.name for candidate in build_candidates()} <= texts(plots[name])


def test_latency_plot_states_p50_and_p99_of_what_was_timed(plots: dict[str, Plot]) -> None:
    summary = build_release().evidence[0].per_isa[0].latency.summaries["candidate"]
    figures = [re.fullmatch(r"([\d.]+) · ([\d.]+)", text) for text in texts(plots["latency"])]
    medians = [float(match[1]) for match in figures if match]
    assert len(medians) == 7
    assert any(median == pytest.approx(summary.p50_ms, abs=0.02) for median in medians)


def test_isa_matrix_marks_only_cells_beyond_the_margin(plots: dict[str, Plot]) -> None:
    beyond = {text for text in texts(plots["isa_matrix"]) if text.endswith("pp ✗")}
    assert beyond == {"1.60× · −3.10 pp ✗", "1.60× · −3.15 pp ✗", "1.60× · −3.40 pp ✗"}


def test_accuracy_plot_whose_bound_is_exactly_the_margin_draws_it_as_within() -> None:
    evidence = build_evidence(build_candidates()[0])
    metric = evidence.per_isa[0].metrics[0]
    at, below = metric.drop_upper_pp, math.nextafter(metric.drop_upper_pp, 0)
    within, beyond = (
        accuracy_drop([evidence], margin).svg.lower().count(VERMILION.lower().encode())
        for margin in (at, below)
    )
    assert within < beyond


def test_plots_on_one_level_leave_the_isa_matrix_out() -> None:
    release = build_release()
    evidence = tuple(
        build_evidence(item.candidate, isas=(IsaLevel.AVX2,), digest=item.digest) for item in release.evidence
    )
    drawn = release_plots(dataclasses.replace(release, evidence=evidence), build_config(), {})
    assert set(drawn) == EVERY - {"isa_matrix", "calibration"}


def test_plots_without_evidence_are_none() -> None:
    release: Release = dataclasses.replace(
        build_release(outcome=Outcome.REJECTED), evidence=(), verdicts=(), chosen=None
    )
    assert release_plots(release, build_config(), {}) == {}


def test_plot_drawn_twice_is_byte_equal(plots: dict[str, Plot]) -> None:
    assert accuracy_drop(build_release().evidence, 1.0).svg == plots["accuracy"].svg


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(0.0, id="zero"),
        pytest.param(float("nan"), id="not a number"),
        pytest.param(float("inf"), id="infinite"),
        pytest.param([0.5, 0.7], id="per channel"),
    ],
)
def test_activation_ranges_drop_what_has_no_place_on_a_log_scale(value: float | list[float]) -> None:
    scales = {"hist-qdq": {"odd": value, "good": 2.5}}
    assert activation_ranges(scales) == {"hist": {"good": 2.5}}


def test_activation_ranges_of_two_layouts_are_one_line_per_algorithm() -> None:
    assert list(activation_ranges(build_scales())) == ["hist", "KL", "avg"]


def test_speed_plot_draws_the_requirement_that_depends_on_the_instruction_set() -> None:
    drawn = release_plots(build_release(), build_config(), {})["speedup"]
    assert build_config().gate.min_speedup is None
    assert "required 1.5" in texts(drawn)
