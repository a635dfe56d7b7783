"""A release by quantization-aware training: its candidates, its curve in MLflow, and a failing training."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.errors import IsolatedProcessError
from paddle_int8.tasks.engines.paddle.quantization.finetune import STEP
from paddle_int8.tasks.process import isolated as process
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.tracking import live_curve
from paddle_int8.tasks.tracking.connection import connection
from tests.e2e.ground import Ground
from tests.e2e.small_inputs import save_data

pytestmark = pytest.mark.paddle

LENIENT = {"metric": "top5", "max_drop_pp": 100.0, "min_speedup": 0.01, "min_int8_share": 0.1}


def released(ground: Ground, algorithms: list[str], **qat: Any) -> Any:
    from paddle_int8.flows.release import release

    data = save_data(ground.folder / "training.npz", 64, seed=5)
    trained_on = {"data": {"kind": "npz", "path": str(data)}, "epochs": 2, "batch_size": 16}
    quantization = {"algorithms": algorithms, "layouts": ["offline", "qdq"], "qat": trained_on | qat}
    path = ground.inputs.config(
        ground.folder / "release.yaml", ground.name, quantization=quantization, gate=LENIENT
    )
    return release(load_config(path))


def test_qat_candidates_are_released_and_the_training_is_a_curve_in_mlflow(
    warm_ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_curve, "EVERY_S", 0.0)
    release = released(warm_ground, ["qat"])
    assert not release.failed
    assert [item.candidate.name for item in release.evidence] == ["qat-offline", "qat-qdq"]
    assert all(item.baseline_digest == release.model.digest for item in release.evidence)
    assert all(item.per_isa[0].audit.int8_primitives > 0 for item in release.evidence)
    with connection(release.tracking_uri) as client:
        curve = client.get_metric_history(release.run_id, "qat/loss")
        run = client.get_run(release.run_id)
    assert [point.step for point in sorted(curve, key=lambda point: point.step)] == list(range(1, 9))
    assert len({point.timestamp for point in curve}) > 1  # logged on the way, not all at the end
    assert run.data.tags["qat_steps"] == "8"
    assert not list((warm_ground.home / "checkpoints").glob("*"))


def test_training_that_ran_out_of_time_goes_on_with_a_higher_limit_in_a_release_of_more_candidates(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the process that waits for the training jumps; the training's own does not."""
    clock = SimpleNamespace(monotonic=time.monotonic, time=time.time)
    monkeypatch.setattr(process, "time", clock)

    def let_days_pass(event: progress.Progress) -> None:
        if event.step == STEP and event.done == 3:
            clock.monotonic = lambda: time.monotonic() + 2 * 24 * 3600

    often = {"epochs": 10, "checkpoint_every_s": 0}
    with pytest.raises(IsolatedProcessError, match="raise `timeout_s`"), progress.listen(let_days_pass):
        released(ground, ["qat"], **often)
    clock.monotonic = time.monotonic
    release = released(ground, ["abs_max", "qat"], **often, timeout_s=48 * 3600)
    assert not release.failed
    with connection(release.tracking_uri) as client:
        tags = client.get_run(release.run_id).data.tags
    assert tags["qat_steps"] == "40"
    assert 3 <= int(tags["qat_resumed_from"]) < 40


def test_training_that_diverges_fails_its_own_candidates_only(warm_ground: Ground) -> None:
    release = released(warm_ground, ["abs_max", "qat"], learning_rate=1e30)
    assert {item.candidate.algorithm for item in release.failed} == {"qat"}
    assert all("required: finite values" in item.error and item.step == "train" for item in release.failed)
    assert [item.candidate.name for item in release.evidence] == ["abs_max-offline", "abs_max-qdq"]


def test_training_on_validation_samples_is_refused(ground: Ground) -> None:
    data = {"kind": "npz", "path": str(ground.inputs.folder / "validation.npz")}
    error = ground.failure(quantization={"algorithms": ["qat"], "qat": {"data": data}})
    assert "40 validation samples were trained on" in error.found
