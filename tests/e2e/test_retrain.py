"""Retraining happens only on changed data, from scratch or from the last model, and is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import State, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

from paddle_int8.tasks.config.retraining import PromotionPolicy, RetrainConfig
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.promotion.ledger import alias_version
from paddle_int8.tasks.tracking.connection import connection
from tests.e2e.ground import Ground
from tests.e2e.records import told_events
from tests.e2e.servers import wait_until
from tests.e2e.small_inputs import save_data

pytestmark = pytest.mark.paddle

APPROVING = {"max_drop_pp": 50, "min_speedup": 0.01, "min_int8_share": 0.1}


def _config(ground: Ground, training: Path, *, approvable: bool = False, **changes: Any) -> RetrainConfig:
    asked: dict[str, Any] = {"gate": {"min_speedup": 1000.0}}
    if approvable:
        right = {"layouts": ["offline_7bit"]}  # on every CPU
        asked = {"gate": APPROVING, "validation": {"metrics": ["agreement"]}, "quantization": right}
    recipe = {"train": "tests.e2e.training:train_small", "arguments": {"data": str(training)}}
    written = ground.inputs.config(ground.folder / "release.yaml", ground.name, model=recipe, **asked)
    release = yaml.safe_load(written.read_text(encoding="utf-8"))
    source = {"kind": "npz", "path": str(training)}
    return RetrainConfig.model_validate({"release": release, "training_data": source} | changes)


def _retrain(config: RetrainConfig) -> State[Any]:
    from paddle_int8.flows.retrain import retrain

    return retrain(config, return_state=True)


def test_retrain_skips_unchanged_data_unless_forced_and_trains_anew_on_changed(ground: Ground) -> None:
    training = save_data(ground.folder / "training.npz", 16, seed=5)
    first: Release = _retrain(_config(ground, training)).result()
    assert first.outcome is Outcome.REJECTED

    skipped = _retrain(_config(ground, training))
    assert (skipped.name, skipped.type.value) == ("Skipped", "COMPLETED")
    assert str(first.run_id) in str(skipped.message)
    assert "nothing to train" in str(skipped.message)

    forced: Release = _retrain(_config(ground, training, force=True)).result()
    assert forced.run_id != first.run_id
    assert forced.model.digest == first.model.digest

    save_data(training, 16, seed=6)
    again: Release = _retrain(_config(ground, training, fine_tune=True)).result()
    assert again.run_id != first.run_id
    assert again.model.digest != first.model.digest
    store = ground.home / "artifacts"
    started = store / again.model.source / "started_from.txt"
    assert started.read_text(encoding="utf-8") == str(store / first.model.source)


def test_retrain_that_failed_is_not_skipped_next_time(ground: Ground) -> None:
    training = save_data(ground.folder / "training.npz", 16, seed=5)
    good = _config(ground, training)
    recipe = good.recipe.model_copy(update={"arguments": {"data": str(ground.folder / "absent.npz")}})
    bad = good.model_copy(update={"release": good.release.model_copy(update={"model": recipe})})
    for _ in range(2):
        assert _retrain(bad).type.value == "FAILED"


def _champion(ground: Ground) -> str | None:
    with connection(ground.tracking_uri) as client:
        return alias_version(client, ground.name, "champion")


def test_retrain_promotes_as_its_policy_says(ground: Ground) -> None:
    from paddle_int8.flows.promote import promote

    training = save_data(ground.folder / "training.npz", 16, seed=5)
    good = _config(ground, training, approvable=True, force=True)

    def retrained(policy: PromotionPolicy) -> State[Any]:
        return _retrain(good.model_copy(update={"promotion": policy}))

    assert retrained(PromotionPolicy.NEVER).result().registered.version == "1"
    assert _champion(ground) is None
    refused = retrained(PromotionPolicy.ON_APPROVAL)
    assert refused.type.value == "FAILED"
    assert "paddle-int8 deploy" in str(refused.message)
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(promote), name="promote")
        assert retrained(PromotionPolicy.ON_APPROVAL).result().registered.version == "1"
        (asked,) = client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
        )
        client.delete_deployment(deployment)
    assert asked.name == f"{ground.name} version 1"
    request = asked.parameters["request"]
    assert (request["model"], request["version"], request["approval"]) == (ground.name, 1, True)
    assert _champion(ground) is None
    assert retrained(PromotionPolicy.AUTOMATIC).result().registered.version == "1"
    assert _champion(ground) == "1"
    expected = ["release.approved", "release.failed"]
    expected += ["release.approved", "model.awaits-approval", "release.approved", "model.promoted"]
    wait_until(lambda: told_events(ground.name), expected.__eq__, seconds=20, what="the events")
