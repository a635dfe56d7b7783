"""Training as a Prefect task, which runs once for equal recipe, arguments, data and versions."""

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
from paddle_int8.tasks.process.host_lock import computing
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.process.limits import threads_each
from paddle_int8.tasks.steps.step import cached, stage, step, step_log
from paddle_int8.tasks.store.folder import commit, folder_digest, scratch
from paddle_int8.tasks.store.sharing import fetch
from paddle_int8.tasks.training.data import training_digest
from paddle_int8.tasks.training.entry import run_training, source_digest, title

TIMEOUT_S = 24 * 3600.0
DIGEST_TIMEOUT_S = 3600.0


@step(name="digest training data")
def digest_training_data(source: Source) -> str:
    """Computes the digest of everything that the source holds now.

    It is never cached, since it decides whether to train.
    """
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
    """The files of the trained model, from the store when the recipe has run on the same data before.

    data: digest of the data that the recipe reads, where it is known. Without it, only a changed recipe is
    trained anew.
    """
    folder = train(config, source_digest(config), data)
    fetch(folder)  # a result from the cache may have been made on another host
    return ModelFiles(path=folder)


def start_training(config: TrainedModel) -> PrefectFuture[StoredPath]:
    """Starts a training in the flow's task runner, so that several run at once.

    `train_model` then takes the result from the store.
    """
    return train.submit(config, source_digest(config), "", shares=True)


@step(name="train model", **cached())
def train(config: TrainedModel, source: str, data: str, *, shares: Incidental[bool] = False) -> StoredPath:
    """Runs the recipe, and returns the folder of the trained model.

    source, data: digests of the recipe and of its data. They belong to the cache key, and so to the name of
    the checkpoint.
    shares: whether it trains beside others, on its share of the host's cores.
    """
    settings, name = Settings(), title(config)
    decisive = f"{config.model_dump_json()} {source} {data}"
    checkpoint = settings.root / "checkpoints" / hashlib.sha256(decisive.encode()).hexdigest()[:32]
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
