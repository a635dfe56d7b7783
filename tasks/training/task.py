"""Training as a Prefect task, done once for a recipe, its arguments and the versions in use."""

from __future__ import annotations

import hashlib
import shutil

from tasks.config import ModelFiles, Source, TrainedModel
from tasks.host_lock import computing
from tasks.process import run_isolated
from tasks.settings import Settings
from tasks.sharing import fetch
from tasks.store import commit, folder_digest, scratch
from tasks.stored_path import StoredPath
from tasks.task import CACHED, input_key, stage, step, step_log
from tasks.training.data import training_digest
from tasks.training.entry import STEP, run_training, source_digest

TIMEOUT_S = 24 * 3600.0
DIGEST_TIMEOUT_S = 3600.0


@step(name="digest training data")
def digest_training_data(source: Source) -> str:
    """Digest of all that the source holds now: never cached, since it is what tells whether to train."""
    with stage("digest training data") as summary:
        digest = run_isolated(
            training_digest,
            source,
            step="digest training data",
            log=step_log("digest-training-data"),
            timeout_s=DIGEST_TIMEOUT_S,
        )
        summary.append(digest[:12])
        return digest


def train_model(config: TrainedModel, data: str = "") -> ModelFiles:
    """The trained model's files, from the store when the same recipe has run on the same data before.

    data: digest of what the recipe reads, where it is known; without it only a changed recipe trains anew.
    """
    folder = train(config, source_digest(config), data)
    fetch(folder)  # a result from the cache may be another host's
    return ModelFiles(path=folder)


@step(name=STEP, **{**CACHED, "cache_key_fn": input_key})
def train(config: TrainedModel, source: str, data: str) -> StoredPath:
    """Runs the recipe. `source` and `data` are digests: parts of the cache key, and of its checkpoint's."""
    said = f"{config.model_dump_json()} {source} {data}"
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
