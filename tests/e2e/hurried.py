"""The project's `prefect.yaml`, changed for a test that cannot wait until night."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.servers import PROJECT_FILE
from tests.e2e.small_inputs import SmallInputs, save_data

NIGHTLY, MODEL = "retrain-nightly", "nightly-small"
UNTIL_NIGHT = timedelta(minutes=4)
"""Once, and after most of the tests that would have to share the CPU with it."""


def hurried(inputs: SmallInputs, folder: Path) -> Path:
    """A copy whose night comes in `UNTIL_NIGHT`, and whose small model is always rejected."""
    project = yaml.safe_load(PROJECT_FILE.read_text(encoding="utf-8"))
    (nightly,) = [each for each in project["deployments"] if each["name"] == NIGHTLY]
    nightly["parameters"] = {"config": retraining(inputs, folder)}
    (schedule,) = nightly["schedules"]
    night = datetime.now(UTC) + UNTIL_NIGHT
    schedule["cron"] = f"{night.minute} {night.hour} * * *"
    path = folder / PROJECT_FILE.name
    path.write_text(yaml.safe_dump(project), encoding="utf-8")
    return path


def retraining(inputs: SmallInputs, folder: Path) -> dict[str, Any]:
    training = save_data(folder / "training.npz", 16, seed=5)
    recipe = {"train": "tests.e2e.training:train_small", "arguments": {"data": str(training)}}
    written = inputs.config(folder / "nightly.yaml", MODEL, model=recipe, gate={"min_speedup": 1000.0})
    release = yaml.safe_load(written.read_text(encoding="utf-8"))
    return {"release": release, "training_data": {"kind": "npz", "path": str(training)}}
