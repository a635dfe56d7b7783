"""Train or fine-tune when the data changed, release what came out, promote as the policy says."""

from __future__ import annotations

import hashlib
from typing import Any

from prefect import State, flow
from prefect.states import Completed

from flows.events import Happening, announce, failure_announced
from flows.promote import promote
from flows.release import release
from tasks.artifacts import DecisionOutcome, Outcome, RegisteredVersion, Release
from tasks.callables import require_all_allowed
from tasks.config import PromotionPolicy, RetrainConfig, TrainedModel
from tasks.promotion.request import PromoteRequest
from tasks.promotion.summary import sentence
from tasks.settings import Settings
from tasks.sharing import fetch
from tasks.stored_path import StoredPath
from tasks.tracking.task import find_last_training, record_training
from tasks.tracking.trainings import Training
from tasks.training.entry import source_digest
from tasks.training.task import digest_training_data, train_model

OUTCOMES = {
    Outcome.APPROVED: Happening.APPROVED,
    Outcome.REJECTED: Happening.REJECTED,
    Outcome.INCONCLUSIVE: Happening.INCONCLUSIVE,
}


@flow(name="retrain", flow_run_name="{config.release.name}", persist_result=False, result_serializer="json")
def retrain(config: RetrainConfig) -> Release | State[Any]:
    """Trains, releases, promotes; ends as Skipped when neither data nor configuration changed.

    Raises: PipelineError when a step fails; the next run then starts anew.
    """
    require_all_allowed(config)
    name = config.release.name
    with failure_announced(name):
        data = digest_training_data(config.training_data)
        fingerprint = _fingerprint(config, data)
        last = find_last_training(name)
        if last and last.fingerprint == fingerprint and not config.force:
            return Completed(
                name="Skipped",
                message=f"training data {data[:12]} and configuration are those of {last.day}, "
                f"MLflow run {last.run_id}; nothing to train",
            )
        files = train_model(_recipe(config, last), data)
        released = release(config.release.model_copy(update={"model": files}))
        announce(OUTCOMES[released.outcome], name, _sentence(released))
        if released.registered and config.promotion is PromotionPolicy.AUTOMATIC:
            _promote(released.registered)
        record_training(str(released.run_id), fingerprint, data, files)
        return released


def _promote(version: RegisteredVersion) -> None:
    """To champion of all instruction sets, when it is no worse than the present one."""
    decision = promote(
        PromoteRequest(model=version.name, version=int(version.version), reason="retraining, automatic")
    )
    settled = {DecisionOutcome.DONE, DecisionOutcome.UNCHANGED}
    what = Happening.PROMOTED if decision.outcome in settled else Happening.NOT_PROMOTED
    announce(what, version.name, sentence(decision))


def _fingerprint(config: RetrainConfig, data: str) -> str:
    """Of all that decides the outcome: the data, the recipe's code, and what it and the release are told."""
    settled = config.model_copy(update={"force": False}).model_dump_json()
    code = source_digest(config.recipe)
    return hashlib.sha256("\0".join((settled, code, data)).encode()).hexdigest()


def _recipe(config: RetrainConfig, last: Training | None) -> TrainedModel:
    """The training function with its arguments, and with the last model when it is to be fine-tuned."""
    recipe = config.recipe
    if not config.fine_tune or last is None:
        return recipe
    folder = StoredPath(Settings().store / last.model)
    fetch(folder)  # it may be another host's
    start = {"start_from": str(folder)}
    return recipe.model_copy(update={"arguments": {**recipe.arguments, **start}})


def _sentence(released: Release) -> str:
    version = released.registered
    where = f", registered as {version.name} version {version.version}" if version else ""
    return f"{released.name}: {released.outcome.value}{where}; MLflow run {released.run_id}"
