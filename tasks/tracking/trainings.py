"""Records each retraining on its release's MLflow run, so that the next one knows what has changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from paddle_int8.tasks.config.model import TrainedModel
from paddle_int8.tasks.config.retraining import RetrainConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.store.sharing import fetch
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.training.entry import source_digest

FINGERPRINT, DATA, MODEL = "retraining", "training_data_digest", "trained_model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The last completed retraining. `model` is the trained model's folder, relative to the store."""

    run_id: str
    day: str
    fingerprint: str
    model: Path


def last_training(tracking_uri: str, release: str) -> Training | None:
    """The newest completed retraining of `release`; None when there is none."""
    with connection(tracking_uri) as client:
        experiment = client.get_experiment_by_name(release)
        if experiment is None:
            return None
        found = client.search_runs(
            [experiment.experiment_id],
            filter_string=f"tags.{FINGERPRINT} LIKE '%' AND attributes.status = 'FINISHED'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
    for run in found:
        return Training(
            run_id=run.info.run_id,
            day=f"{datetime.fromtimestamp(run.info.start_time / 1000, UTC):%Y-%m-%d %H:%M} UTC",
            fingerprint=run.data.tags[FINGERPRINT],
            model=Path(run.data.tags[MODEL]),
        )
    return None


def retraining_fingerprint(config: RetrainConfig, data: str) -> str:
    """SHA-256 of all that decides the result of a retraining: its data, its code and its configuration.

    data: the digest of the training data.
    Raises: DataError when there is no file that holds the training function.
    """
    settled = config.model_copy(update={"force": False}).model_dump_json(exclude={"release": {"task_runner"}})
    code = source_digest(config.recipe)
    return hashlib.sha256("\0".join((settled, code, data)).encode()).hexdigest()


def started_from(training: Training, recipe: TrainedModel) -> TrainedModel:
    """`recipe` with the folder of the model that `training` made, as its argument `start_from`."""
    folder = StoredPath(Settings().store / training.model)
    fetch(folder)  # it may be another host's
    return recipe.model_copy(update={"arguments": {**recipe.arguments, "start_from": str(folder)}})


def record_training(tracking_uri: str, run_id: str, *, fingerprint: str, data: str, model: Path) -> None:
    """Tags the release's run as that of a completed retraining."""
    tags = {FINGERPRINT: fingerprint, DATA: data, MODEL: model.as_posix()}
    with connection(tracking_uri) as client:
        for name, value in tags.items():
            client.set_tag(run_id, name, value)
