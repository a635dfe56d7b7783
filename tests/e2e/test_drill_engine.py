"""An engine of another package takes a model to the end: released, packed, registered, promoted, audited.

The engine is `tests/e2e/stand_in`, whose models are in a format of its own.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.artifacts import download_artifacts

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.promotion.assessment import assess_promotion, settle
from paddle_int8.tasks.promotion.comparison import MEASURED_ANEW
from paddle_int8.tasks.promotion.decision import Decision, DecisionOutcome
from paddle_int8.tasks.promotion.request import PromoteRequest
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.validation.audit_model import audit_isolated
from tests.e2e.consumer import require_validated_answers
from tests.e2e.ground import Ground
from tests.e2e.stand_in import engine
from tests.installed_package import install

pytestmark = pytest.mark.paddle

RECORDS = {
    "paddle_int8.engines": {"stand_in": f"{engine.__name__}:ENGINE"},
    "paddle_int8.layouts": {"simulated": f"{engine.__name__}:LAYOUT"},
}


@pytest.fixture
def ground(warm_ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    install(tmp_path / "site", "stand-in", RECORDS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return warm_ground


def released(ground: Ground, algorithm: str = "abs_max", **changes: Any) -> Release:
    from paddle_int8.flows.release import release

    grid = {"algorithms": [algorithm], "layouts": ["simulated"]}
    path = ground.inputs.approvable(ground.folder / "release.yaml", ground.name, quantization=grid, **changes)
    made = release(load_config(path))
    assert made.outcome is Outcome.APPROVED, [verdict.results for verdict in made.verdicts]
    return made


@pytest.fixture(scope="module")
def made() -> list[Release]:
    return []


@pytest.fixture
def first(ground: Ground, made: list[Release]) -> Release:
    """One release for all tests. It is made in the surroundings of the first, which all have."""
    if not made:
        made.append(released(ground))
    return made[0]


def bundle_of(release: Release) -> Path:
    assert release.bundle is not None
    return release.bundle.folder


def test_engine_of_another_package_runs_a_release_to_its_end(first: Release) -> None:
    (evidence,) = first.evidence
    found = evidence.per_isa[0]
    assert (found.audit.isa, found.audit.int8_share_by_count) == (engine.ISA, 1.0)
    assert found.baseline_audit.isa not in ("", found.audit.isa)  # the baseline is Paddle's
    assert np.isfinite(found.sqnr_db)
    assert first.registered is not None


def test_bundle_of_another_engine_holds_its_format_and_opens_without_this_project(
    first: Release, tmp_path: Path
) -> None:
    bundle = bundle_of(first)
    assert [path.name for path in (bundle / "model").iterdir()] == [engine.FILE]
    deployment = json.loads((bundle / "deployment.json").read_text(encoding="utf-8"))
    assert (deployment["layout"], deployment["switches"]) == ("simulated", engine.SWITCHES)
    require_validated_answers(first, tmp_path)
    with connection(first.tracking_uri) as client:
        place = client.get_model_version_download_uri(first.name, "1")
    installed = Path(download_artifacts(artifact_uri=f"{place}/requirements.txt", dst_path=str(tmp_path)))
    assert set(engine.REQUIREMENTS) <= set(installed.read_text(encoding="utf-8").splitlines())


def test_bundle_of_another_engine_is_audited_by_that_engine(first: Release) -> None:
    bundle = bundle_of(first)
    audit = audit_isolated(bundle, None)
    assert (audit.isa, audit.int8_primitives) == (engine.ISA, engine.LAYERS)
    with pytest.raises(ConfigError, match="layout simulated, which the engine stand_in runs"):
        audit_isolated(bundle / "model", "simulated")


def promoted(release: Release, log: Path) -> Decision:
    decision = assess_promotion(release.tracking_uri, PromoteRequest(model=release.name), log=log)
    return settle(release.tracking_uri, decision)


def test_champion_of_another_engine_is_run_again_on_the_challengers_samples(
    first: Release, ground: Ground, tmp_path: Path
) -> None:
    champion = promoted(first, tmp_path / "first.log")
    assert champion.outcome is DecisionOutcome.DONE, champion.checks
    again = replace(ground, name=first.name)
    challenger = released(again, "hist", data={"validation_samples": 300})
    second = promoted(challenger, tmp_path / "second.log")
    assert any(MEASURED_ANEW in check.found for check in second.checks), second.checks
    assert second.outcome is DecisionOutcome.DONE, second.checks
