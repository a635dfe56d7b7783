"""Retraining: only on data that changed, from scratch or from the last model, and recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import State

from tasks.artifacts import Outcome, Release
from tasks.config import RetrainConfig
from tests.e2e.ground import Ground
from tests.e2e.small_inputs import save_data

pytestmark = pytest.mark.paddle


def _config(ground: Ground, training: Path, **changes: Any) -> RetrainConfig:
    written = ground.inputs.config(ground.folder / "release.yaml", ground.name, gate={"min_speedup": 1000.0})
    release = yaml.safe_load(written.read_text(encoding="utf-8"))
    release["model"] = {"train": "tests.e2e.training:train_small", "arguments": {"data": str(training)}}
    source = {"kind": "npz", "path": str(training)}
    return RetrainConfig.model_validate({"release": release, "training_data": source} | changes)


def _retrain(config: RetrainConfig) -> State[Any]:
    from flows.retrain import retrain

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
