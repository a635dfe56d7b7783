"""Training as a Prefect task, done once for a recipe, its arguments and the versions in use."""

from __future__ import annotations

import hashlib
import re
import shutil

from prefect.futures import PrefectFuture

from paddle_int8.tasks.config.data import Source
from paddle_int8.tasks.config.model import ModelFiles, TrainedModel
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.keys import Incidental
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.hardware.limits import threads_each
from paddle_int8.tasks.process.host_lock import computing
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.steps.step import cached, stage, step, step_log
from paddle_int8.tasks.store.folder import commit, folder_digest, scratch
from paddle_int8.tasks.store.sharing import fetch
from paddle_int8.tasks.training.data import training_digest
from paddle_int8.tasks.training.entry import run_training, source_digest, title

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


def start_training(config: TrainedModel) -> PrefectFuture[StoredPath]:
    """Has the flow's task runner train, beside others, what `train_model` then takes from the store."""
    return train.submit(config, source_digest(config), "", shares=True)


@step(name="train model", **cached())
def train(config: TrainedModel, source: str, data: str, *, shares: Incidental[bool] = False) -> StoredPath:
    """Runs the recipe. `source` and `data` are digests: parts of the cache key, and of its checkpoint's.

    shares: it trains beside others, on its share of the host's cores.
    """
    settings, name = Settings(), title(config)
    said = f"{config.model_dump_json()} {source} {data}"
    checkpoint = settings.root / "checkpoints" / hashlib.sha256(said.encode()).hexdigest()[:32]
    with stage(name) as summary, scratch(settings.store, "training") as folder, computing():
        run_isolated(
            run_training,
            config,
            folder,
            checkpoint,
            step=name,
            log=step_log(re.sub(r"[^\w.-]+", "-", name)),
            timeout_s=TIMEOUT_S,
            environment={"OMP_NUM_THREADS": str(threads_each(settings.parallel_candidates))}
            if shares
            else None,
        )
        summary.append(config.train)
        trained = commit(folder, settings.store, "trained", folder_digest(folder))
        shutil.rmtree(checkpoint, ignore_errors=True)
        return trained
