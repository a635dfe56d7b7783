"""The strategy `mixed`: a release that would be rejected ends in an approved mix of precisions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.tracking.connection import connection
from tests.cpu import SATURATES
from tests.e2e.command_line import variables
from tests.e2e.crashes import computed, kill
from tests.e2e.crashes import release as released_by_program
from tests.e2e.failing_metrics import SECOND_PROCESS
from tests.e2e.ground import Ground
from tests.e2e.planted import NETWORKS, gated, planted_inputs, planted_tensor
from tests.e2e.small_inputs import SAMPLES, save_data

pytestmark = pytest.mark.paddle


def released(ground: Ground, network: str, *, seed: int = 0, **quantization: Any) -> Release:
    from paddle_int8.flows.release import release

    inputs = planted_inputs(network, seed)
    path = gated(inputs, ground.folder / "release.yaml", ground.name, **quantization)
    return release(load_config(path))


def kept(release: Release) -> set[str]:
    assert release.chosen is not None
    return {tensor for tensor, _ in release.chosen.overrides}


def names(document: dict[str, Any]) -> list[str]:
    """The names of the candidates of a release's document."""
    found = (each["candidate"] for each in document["candidates"])
    return [Candidate(**each | {"overrides": tuple(map(tuple, each["overrides"]))}).name for each in found]


def require_kept(release: Release, planted: str) -> None:
    """Requires that the planted layer alone is kept; without VNNI, where sums saturate, others may be too."""
    found = kept(release)
    assert planted in found
    assert len(found) == 1 or SATURATES


def mixes(release: Release) -> list[CandidateEvidence]:
    return [each for each in release.evidence if each.candidate.overrides]


@pytest.mark.parametrize("layout", ["offline", "qdq"])
@pytest.mark.parametrize("network", NETWORKS)
def test_planted_layer_alone_is_kept_in_fp32_and_the_release_approved(
    warm_ground: Ground, network: str, layout: str
) -> None:
    grid = {"algorithms": ["abs_max"], "layouts": [layout]}
    whole = released(warm_ground, network, **grid)
    assert whole.outcome is Outcome.REJECTED
    require_explained(warm_ground, whole, planted_tensor(network))

    mixed = released(warm_ground, network, **grid, strategy="mixed")
    assert mixed.outcome is Outcome.APPROVED, mixed.verdicts
    require_kept(mixed, planted_tensor(network))
    (confirmed,) = [each for each in mixed.evidence if each.candidate == mixed.chosen]
    audit, before = confirmed.per_isa[0].audit, whole.evidence[0].per_isa[0].audit
    assert audit.int8_primitives == before.int8_primitives - len(kept(mixed))
    assert audit.compute_primitives == before.compute_primitives
    assert len(mixes(mixed)) <= math.ceil(math.log2(before.int8_primitives)) + 1
    assert mixed.looks is not None
    assert mixed.looks.candidates == 1
    assert mixed.validation.samples == confirmed.per_isa[0].metrics[0].samples < SAMPLES


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(1, 10))
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("layout", ["offline", "qdq"])
def test_planted_layer_alone_is_kept_whatever_the_weights_the_channel_and_the_place(
    warm_ground: Ground, layout: str, network: str, seed: int
) -> None:
    grid = {"algorithms": ["abs_max"], "layouts": [layout], "strategy": "mixed"}
    mixed = released(warm_ground, network, seed=seed, **grid)
    assert not mixed.evidence[0].candidate.overrides
    assert (
        mixed.verdicts[0].outcome is Outcome.REJECTED
    )  # by its drop, or where one class is always right by its signal
    assert mixed.outcome is Outcome.APPROVED, mixed.verdicts
    require_kept(mixed, planted_tensor(network, seed))


@pytest.mark.parametrize("algorithm", ["equalisation", "qat"])
def test_search_goes_on_from_a_model_that_its_algorithm_changed(warm_ground: Ground, algorithm: str) -> None:
    data = save_data(warm_ground.folder / "training.npz", 32, seed=5)
    # at this rate the training changes nothing that would make the planted layer right
    training = {"data": {"kind": "npz", "path": str(data)}, "batch_size": 16, "learning_rate": 1e-9}
    section = {"qat": training} if algorithm == "qat" else {}
    grid = {"algorithms": [algorithm], "layouts": ["offline"], "strategy": "mixed"}
    mixed = released(warm_ground, "encoder", **grid, **section)
    assert mixed.outcome is Outcome.APPROVED, mixed.verdicts
    assert mixed.chosen is not None
    assert mixed.chosen.algorithm == algorithm
    require_kept(mixed, planted_tensor("encoder"))


def require_explained(ground: Ground, release: Release, tensor: str) -> None:
    """A rejected release says which operators cost most, in its result, its report and MLflow."""
    assert release.sensitivity is not None
    worst = release.sensitivity.worst_first()[0]
    assert worst.tensor == tensor
    assert worst.saved_ms is not None
    assert release.report is not None
    page = release.report.read_text(encoding="utf-8")
    assert "What each layer costs" in page
    assert worst.reason in page
    assert "quantization.strategy: mixed" in page
    with connection(ground.tracking_uri) as client:
        files = {item.path for item in client.list_artifacts(str(release.run_id))}
        plots = {item.path for item in client.list_artifacts(str(release.run_id), "plots")}
    assert "sensitivity.csv" in files
    assert "plots/sensitivity.svg" in plots


def test_auto_searches_on_where_the_grid_is_rejected(warm_ground: Ground) -> None:
    grid = {"algorithms": ["abs_max"], "layouts": ["offline"], "strategy": "auto"}
    found = released(warm_ground, "images", **grid)
    assert found.outcome is Outcome.APPROVED, found.verdicts
    require_kept(found, planted_tensor("images"))
    (whole,) = [each for each in found.evidence if not each.candidate.overrides]
    (confirmed,) = [each for each in found.evidence if each.candidate == found.chosen]
    searched = [each for each in mixes(found) if each != confirmed]
    samples = [each.per_isa[0].metrics[0].samples for each in (whole, confirmed, searched[0])]
    assert samples[0] == SAMPLES == samples[1] + samples[2]
    for each in (whole, confirmed):
        for metric in each.per_isa[0].metrics:
            assert metric.upper_confidence == pytest.approx(0.975)
    assert found.looks is not None
    assert (found.looks.candidates, found.looks.error) == (2, pytest.approx(0.05))


def test_auto_judges_the_grid_alone_with_the_whole_error_where_samples_decide_no_second_test(
    warm_ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    grid = {"algorithms": ["abs_max"], "layouts": ["offline"], "strategy": "auto"}
    found = released(warm_ground, "images", max_drop_pp=1.0, **grid)
    (only,) = found.evidence
    assert found.outcome is Outcome.REJECTED
    assert only.per_isa[0].metrics[0].upper_confidence == pytest.approx(0.95)
    assert f"{SAMPLES} validation samples do not decide `gate.max_drop_pp: 1` twice" in caplog.text


def test_auto_ends_with_a_grid_that_is_approved_and_parts_no_samples(warm_ground: Ground) -> None:
    from paddle_int8.flows.release import release

    path = warm_ground.inputs.approvable(
        warm_ground.folder / "release.yaml", warm_ground.name, quantization={"strategy": "auto"}
    )
    found = release(load_config(path))
    assert found.outcome is Outcome.APPROVED, found.verdicts
    (only,) = found.evidence
    assert only.per_isa[0].metrics[0].samples == SAMPLES
    assert found.sensitivity is None
    assert not [name for name in warm_ground.flow(bool).tasks if name.startswith(("part ", "sensitivity"))]


def test_explanation_that_fails_costs_no_verdict(
    warm_ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paddle_int8.flows.releasing import bench

    def fail(*_: object, **__: object) -> None:
        raise ValueError("no such operator")

    monkeypatch.setattr(bench, "sensitivity", fail)
    found = released(warm_ground, "images", algorithms=["abs_max"], layouts=["offline"])
    assert found.outcome is Outcome.REJECTED
    assert found.sensitivity is None
    assert found.report is not None


def test_layers_of_one_name_and_of_odd_names_are_kept_one_by_one(warm_ground: Ground) -> None:
    grid = {"algorithms": ["abs_max"], "layouts": ["offline", "qdq"], "strategy": "mixed"}
    mixed = released(warm_ground, "odd", **grid)
    assert mixed.outcome is Outcome.APPROVED, mixed.verdicts
    require_kept(mixed, planted_tensor("images"))


def test_search_that_used_up_its_budget_ends_with_the_best_so_far(warm_ground: Ground) -> None:
    grid = {"algorithms": ["abs_max"], "layouts": ["offline"], "strategy": "mixed"}
    two = released(warm_ground, "images", **grid, search={"candidates": 2})
    assert two.outcome is Outcome.APPROVED, two.verdicts
    assert len(two.evidence) == 2
    assert planted_tensor("images") in kept(two)
    assert len(kept(two)) > 1  # the first mix, which a longer search would have shortened


def test_mix_whose_metric_fails_counts_as_wrong_and_the_search_goes_on(
    warm_ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECOND_PROCESS, str(tmp_path / "processes"))
    from paddle_int8.flows.release import release

    path = gated(
        planted_inputs("images"),
        warm_ground.folder / "release.yaml",
        warm_ground.name,
        metric="tests.e2e.failing_metrics:fail_in_the_second_process",
        algorithms=["abs_max"],
        layouts=["offline"],
        strategy="mixed",
    )
    mixed = release(load_config(path))
    (failed,) = mixed.failed
    assert failed.step == "validate"
    assert mixed.outcome is Outcome.APPROVED, mixed.verdicts
    assert len(mixes(mixed)) > 1
    assert planted_tensor("images") in kept(mixed)


def test_model_of_which_nothing_can_run_in_int8_says_so_before_any_search(warm_ground: Ground) -> None:
    error = warm_ground.failure(
        quantization={
            "strategy": "mixed",
            "keep_fp32": ["conv2d", "matmul_v2"],
            "layouts": ["offline", "qdq"],
        }
    )
    assert "no operator was quantized" in error.found
    assert "quantization.op_types" in error.remedy
    assert not [name for name in warm_ground.flow().tasks if name.startswith(("sensitivity", "validate "))]


def test_killed_search_goes_on_where_it_was(tmp_path: Path, temporary: Path) -> None:
    """What it tries next hangs on timings, so that another home might search in another order."""
    grid = {"algorithms": ["abs_max"], "layouts": ["offline_7bit"], "strategy": "mixed"}
    config = gated(planted_inputs("images"), tmp_path / "release.yaml", "killed-search", **grid)
    home = tmp_path / "home"
    environment = variables(home, TMPDIR=str(temporary))
    kill(config, "validate *kept*", "end", environment)
    before = computed(home)
    resumed = released_by_program(config, environment)
    assert resumed["outcome"] == "approved"
    whole, first, second, *_ = names(resumed)
    assert {f"convert {whole}", f"convert {first}"} <= before.keys(), before
    assert f"convert {second}" not in before
    # the processes of the step that was hit had ended, and its result was not kept yet; the finalist meets
    # other samples, for which the baseline answers anew
    again = {step for step in computed(home) - before if step in before}
    assert {step for step in again if first not in step and not step.startswith("baseline")} == set()
