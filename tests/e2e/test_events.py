"""Every release emits its outcome as one event to Prefect, whoever runs it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.retraining import RetrainConfig
from paddle_int8.tasks.contracts.errors import PipelineError
from tests.e2e.ground import Ground
from tests.e2e.records import told_events
from tests.e2e.servers import wait_until
from tests.e2e.small_inputs import save_data

pytestmark = pytest.mark.paddle

LAST = "model.awaits-approval"


def _all_told(ground: Ground) -> list[str]:
    """The events about the release; those that were emitted before this call have all arrived."""
    from paddle_int8.flows.server.events import Happening, announce

    announce(Happening.ASKED, ground.name, "the last one")
    *told, last = wait_until(
        lambda: told_events(ground.name),
        lambda found: found and found[-1] == LAST,
        seconds=30,
        what="the events",
    )
    assert last == LAST
    return told


def _config(ground: Ground, *, approvable: bool = False, **changes: Any) -> ReleaseConfig:
    path = ground.folder / "release.yaml"
    write = ground.inputs.approvable if approvable else ground.inputs.config
    return load_config(write(path, ground.name, **changes))


@pytest.mark.parametrize(
    ("approvable", "changes", "outcome"),
    [
        pytest.param(True, {}, "approved", id="approved"),
        pytest.param(False, {"gate": {"min_speedup": 1000.0}}, "rejected", id="rejected"),
    ],
)
def test_release_with_a_verdict_tells_it_once(
    warm_ground: Ground, approvable: bool, changes: dict[str, Any], outcome: str
) -> None:
    from paddle_int8.flows.release import release

    released = release(_config(warm_ground, approvable=approvable, **changes))
    assert released.outcome.value == outcome
    assert _all_told(warm_ground) == [f"release.{outcome}"]


def test_release_that_fails_tells_it_once(warm_ground: Ground) -> None:
    warm_ground.failure(model={"path": "/nowhere"})
    assert _all_told(warm_ground) == ["release.failed"]


@pytest.mark.parametrize(
    ("calibration", "told"),
    [
        pytest.param(None, ["release.rejected"], id="verdict"),
        pytest.param({"kind": "npz", "path": "/nowhere.npz"}, ["release.failed"], id="failure"),
    ],
)
def test_retraining_does_not_tell_what_its_release_told(
    ground: Ground, calibration: dict[str, str] | None, told: list[str]
) -> None:
    from paddle_int8.flows.retrain import retrain

    training = save_data(ground.folder / "training.npz", 16, seed=5)
    recipe = {"train": "tests.e2e.training:train_small", "arguments": {"data": str(training)}}
    changes: dict[str, Any] = {"data": {"calibration": calibration}} if calibration else {}
    changes |= {"model": recipe, "gate": {"min_speedup": 1000.0}}
    path = ground.inputs.config(ground.folder / "release.yaml", ground.name, **changes)
    release = yaml.safe_load(path.read_text(encoding="utf-8"))
    source = {"kind": "npz", "path": str(training)}
    config = RetrainConfig.model_validate({"release": release, "training_data": source})
    if calibration:
        with pytest.raises(PipelineError):
            retrain(config)
    else:
        retrain(config)
    assert _all_told(ground) == told
