"""A whole release of a small model, as Prefect, MLflow and a user of the registry see it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.steps import step as task
from paddle_int8.tasks.tracking.connection import connection
from tests.e2e.consumer import require_validated_answers
from tests.e2e.crashes import CACHED
from tests.e2e.ground import Ground

pytestmark = pytest.mark.paddle


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A release and the ground it ran on."""

    ground: Ground
    release: Release


def _release(ground: Ground, *more: str, **gate: float) -> Released:
    """more: algorithms beside the one of every small release."""
    from paddle_int8.flows.release import release

    grid = {"algorithms": ["abs_max", *more], "layouts": ["offline", "qdq"]}
    path = ground.inputs.approvable(ground.folder / "release.yaml", ground.name, quantization=grid, gate=gate)
    return Released(ground=ground, release=release(load_config(path)))


@pytest.fixture(scope="module")
def made() -> list[Released]:
    return []


@pytest.fixture
def approved(warm_ground: Ground, made: list[Released]) -> Released:
    """One release for all tests. It is made in the surroundings of the first, which all have."""
    if not made:
        made.append(_release(warm_ground))
    return made[0]


def test_release_of_a_good_model_is_approved_and_recorded(approved: Released) -> None:
    release, ground = approved.release, approved.ground
    assert release.outcome is Outcome.APPROVED, [verdict.results for verdict in release.verdicts]
    assert release.bundle is not None
    assert release.registered is not None
    assert release.report is not None
    page = release.report.read_text(encoding="utf-8")
    assert "Approved" in page
    assert "Samples that INT8 answers otherwise" in page
    with connection(ground.tracking_uri) as client:
        experiment = client.get_experiment_by_name(ground.name)
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
        version = client.get_model_version_by_alias(ground.name, "challenger")
        artifacts = {item.path for item in client.list_artifacts(str(release.run_id))}
    nested = {run.data.tags["candidate"] for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert nested == {"abs_max-offline", "abs_max-qdq"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    chosen = next(each for each in release.verdicts if each.candidate == release.chosen)
    assert version.tags["model_digest"] == chosen.digest
    assert {"report.html", "verdict.json"} <= artifacts


def test_registered_model_in_a_fresh_process_answers_like_the_validated_predictor(
    approved: Released, tmp_path: Path
) -> None:
    require_validated_answers(approved.release, tmp_path)


def test_release_again_takes_every_computation_from_the_cache(approved: Released) -> None:
    assert not _computed(_release(approved.ground).release)


def test_release_with_another_margin_is_judged_anew_and_computes_nothing(approved: Released) -> None:
    again = _release(approved.ground, max_drop_pp=1e-6).release
    assert again.evidence == approved.release.evidence
    assert again.verdicts != approved.release.verdicts
    assert not _computed(again)


def test_release_with_another_algorithm_computes_that_one_alone(approved: Released) -> None:
    again = _release(approved.ground, "min_max").release
    assert len(again.evidence) == 4
    assert {step.split()[1].partition("-")[0] for step in _computed(again)} == {"min_max"}


def test_release_with_another_paddle_computes_the_baselines_outputs_anew(
    approved: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "version", lambda name: f"{name} of tomorrow")
    steps = _computed(_release(approved.ground).release)
    assert [step for step in steps if step.startswith("baseline outputs")], steps


def test_release_that_misses_the_speed_is_rejected_and_not_registered(warm_ground: Ground) -> None:
    release = _release(warm_ground, min_speedup=1000.0).release
    assert release.outcome is Outcome.REJECTED
    assert release.registered is None
    with connection(release.tracking_uri) as client:
        assert not client.search_registered_models(f"name = '{release.name}'")
        run = client.get_run(str(release.run_id))
    assert run.data.tags["outcome"] == "rejected"


def _computed(release: Release) -> list[str]:
    """The cached steps that the newest flow run computed."""
    home = release.model.folder.parents[2]
    files = sorted(home.glob("logs/*/steps.jsonl"), key=lambda path: path.stat().st_mtime)
    steps = [json.loads(line)["step"] for line in files[-1].read_text(encoding="utf-8").splitlines()]
    return [step for step in steps if step.startswith(CACHED)]
