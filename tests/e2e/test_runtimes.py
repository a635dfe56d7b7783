"""Candidates are measured and judged with another Paddle too, in its own environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.tracking.schema import summary_json
from tests.e2e.ground import Ground
from tests.integration.paddle3.environment import PADDLE3 as ENVIRONMENT

pytestmark = pytest.mark.paddle
PADDLE3 = "3.3.1"


@pytest.fixture
def released(warm_ground: Ground, made: list[Release], monkeypatch: pytest.MonkeyPatch) -> Release:
    """One release for all tests, in both layouts, with both Paddles."""
    from paddle_int8.flows.release import release

    ENVIRONMENT.require()
    monkeypatch.setenv("PADDLE_INT8_RUNTIMES", f"/nowhere/python,{sys.executable},{ENVIRONMENT.python}")
    if not made:
        path = warm_ground.inputs.approvable(
            warm_ground.folder / "release.yaml",
            warm_ground.name,
            quantization={"layouts": ["offline", "qdq"]},
            validation={"runtimes": ["2.6.2", PADDLE3]},
        )
        made.append(release(load_config(path)))
    return made[0]


@pytest.fixture(scope="module")
def made() -> list[Release]:
    return []


def test_each_candidate_is_measured_with_the_other_paddle(released: Release) -> None:
    for evidence in released.evidence:
        (other,) = evidence.runtimes
        assert other.paddle == PADDLE3
        assert other.measured is not None, other.error
        measured, native = other.measured, evidence.per_isa[0]
        assert measured.audit.int8_primitives == native.audit.int8_primitives == 3
        assert measured.latency.speedup.processes == native.latency.speedup.processes
        assert measured.metrics[0].samples == native.metrics[0].samples
        assert abs(measured.sqnr_db - native.sqnr_db) < 6
        assert measured.isa is native.isa
        assert measured.latency.disturbance is not None
        assert 0 <= measured.latency.disturbance.others_share <= 1


def test_verdict_holds_for_both(released: Release) -> None:
    assert released.outcome is Outcome.APPROVED, [verdict.results for verdict in released.verdicts]
    (chosen,) = [each for each in released.verdicts if each.candidate == released.chosen]
    criteria = [result.criterion for result in chosen.results]
    for criterion in ("accuracy top5", "speed-up", "INT8 share", "signal"):
        assert criterion in criteria
        assert f"{criterion} with Paddle {PADDLE3}" in criteria


def test_bundle_report_and_records_say_what_was_tried(released: Release) -> None:
    assert released.bundle is not None
    assert released.report is not None
    deployment = json.loads((released.bundle.folder / "deployment.json").read_text(encoding="utf-8"))
    (tried,) = deployment["tried_with"]
    assert (tried["version"], tried["error"]) == (PADDLE3, "")
    assert tried["speedup"] > 0
    assert f"Paddle {PADDLE3}" in (released.bundle.folder / "README.md").read_text(encoding="utf-8")
    assert "Versions of Paddle" in released.report.read_text(encoding="utf-8")
    document = summary_json(released)
    assert document["candidates"][0]["runtimes"][0]["paddle"] == PADDLE3
    assert "samples_ms" not in document["candidates"][0]["runtimes"][0]["measured"]["latency"]
    with connection(released.tracking_uri) as client:
        metrics = client.get_run(str(released.run_id)).data.metrics
    assert metrics[f"paddle-{PADDLE3}/speedup_ratio"] > 0


def test_version_that_is_nowhere_ends_the_release_before_the_model_is_loaded(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PADDLE_INT8_RUNTIMES", f"{sys.executable},{tmp_path / 'python'}")
    error = ground.failure(validation={"runtimes": ["3.0.9"]})
    assert isinstance(error, ConfigError)
    assert "Paddle 3.0.9" in error.found
    assert f"{sys.executable}: 2.6.2" in error.found
    assert f"{tmp_path / 'python'}: not there" in error.found
    assert "paddlepaddle==3.0.9" in error.remedy
    ground.require_failed(error, task="find runtimes", tags=set())


def test_version_that_does_not_run_the_model_is_a_verdict(
    warm_ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Paddle that fails as soon as its program is to open a model."""
    from paddle_int8.flows.release import release

    broken = tmp_path / "python"
    broken.write_text('#!/bin/sh\ncase "$*" in *metadata*) echo 3.9.9;; *) exit 7;; esac\n', encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("PADDLE_INT8_RUNTIMES", str(broken))
    path = warm_ground.inputs.approvable(
        warm_ground.folder / "release.yaml", warm_ground.name, validation={"runtimes": ["3.9.9"]}
    )
    found = release(load_config(path))
    assert found.outcome is Outcome.REJECTED
    (result,) = [each for each in found.verdicts[0].results if each.outcome is Outcome.REJECTED]
    assert result.criterion == "runs with Paddle 3.9.9"
    assert "ended with 7" in result.found
    assert found.registered is None
