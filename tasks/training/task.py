"""Training as a Prefect task, done once for a recipe, its arguments and the versions in use."""

from __future__ import annotations

import hashlib
import shutil

from tasks.config import ModelFiles, TrainedModel
from tasks.host_lock import computing
from tasks.process import run_isolated
from tasks.settings import Settings
from tasks.sharing import fetch
from tasks.store import commit, folder_digest, scratch
from tasks.stored_path import StoredPath
from tasks.task import CACHED, input_key, stage, step, step_log
from tasks.training.entry import STEP, run_training, source_digest

TIMEOUT_S = 24 * 3600.0


def train_model(config: TrainedModel) -> ModelFiles:
    """The trained model's files, from the store when the same recipe has run before."""
    folder = train(config, source_digest(config))
    fetch(folder)  # a result from the cache may be another host's
    return ModelFiles(path=folder)


@step(name=STEP, **{**CACHED, "cache_key_fn": input_key})
def train(config: TrainedModel, source: str) -> StoredPath:
    """Runs the recipe. `source` is the digest of its code: a part of the cache key, nothing else."""
    said = f"{config.model_dump_json()} {source}"
    checkpoint = Settings().root / "checkpoints" / hashlib.sha256(said.encode()).hexdigest()[:32]
    with stage(STEP) as summary, scratch(Settings().store, "training") as folder, computing():
        run_isolated(
            run_training,
            config,
            folder,
            checkpoint,
            step=STEP,
            log=step_log("train-model"),
            timeout_s=TIMEOUT_S,
        )
        summary.append(config.train)
        trained = commit(folder, Settings().store, "trained", folder_digest(folder))
        shutil.rmtree(checkpoint, ignore_errors=True)
        return trained
