"""The flow that retrains a model when its data changed, releases it, and promotes it as the policy says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from prefect import State, flow
from prefect.runtime import flow_run
from prefect.states import Completed

from paddle_int8.flows.promote import promote
from paddle_int8.flows.release import release
from paddle_int8.flows.server.deployments import runs
from paddle_int8.flows.server.events import Happening, announce, failure_announced
from paddle_int8.tasks.config.callables import require_all_allowed
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.parameter import Parameter
from paddle_int8.tasks.config.retraining import PromotionPolicy, RetrainConfig
from paddle_int8.tasks.contracts.artifacts import RegisteredVersion
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.promotion.request import PromoteRequest
from paddle_int8.tasks.tracking.task import find_last_training, record_training
from paddle_int8.tasks.tracking.trainings import retraining_fingerprint, started_from
from paddle_int8.tasks.training.task import digest_training_data, train_model

PROMOTION = "promote/promote"
"""The deployment whose run waits for a person's answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A trained model, with the fingerprint and the digest of the data that it was trained on."""

    fingerprint: str
    data: str
    files: ModelFiles


@flow(name="retrain", flow_run_name="{config.release.name}", persist_result=False, result_serializer="json")
def retrain(config: Parameter[RetrainConfig]) -> Release | State[None]:
    """Trains, releases and promotes. Ends as Skipped when data, recipe and configuration did not change.

    Raises: PipelineError when a step fails. The next run then does all of it again.
    """
    name = config.release.name
    with failure_announced(name):
        trained = _trained(config)
    if isinstance(trained, State):
        return trained
    released = release(config.release.model_copy(update={"model": trained.files}))  # it emits its own event
    with failure_announced(name):
        if released.registered:
            _promote(released.registered, config)
        record_training(str(released.run_id), trained.fingerprint, trained.data, trained.files)
    return released


def _trained(config: RetrainConfig) -> Trained | State[None]:
    """Trains the model, or returns the state Skipped when there is nothing to train."""
    require_all_allowed(config)
    if config.promotion is PromotionPolicy.ON_APPROVAL:
        asyncio.run(runs.require(PROMOTION))  # before the hours that a training takes
    data = digest_training_data(config.training_data)
    fingerprint = retraining_fingerprint(config, data)
    last = find_last_training(config.release.name)
    if last and last.fingerprint == fingerprint and not config.force:
        return Completed(
            name="Skipped",
            message=f"training data {data[:12]} and configuration are those of {last.day}, "
            f"MLflow run {last.run_id}; nothing to train",
        )
    recipe = started_from(last, config.recipe) if last and config.fine_tune else config.recipe
    return Trained(fingerprint=fingerprint, data=data, files=train_model(recipe, data))


def _promote(version: RegisteredVersion, config: RetrainConfig) -> None:
    """Promotes the version to champion of all instruction sets, as the policy says.

    The promotion's own checks still apply: the version must not be worse than the present champion.
    """
    request = PromoteRequest(
        model=version.name, version=int(version.version), reason=f"retraining, {config.promotion}"
    )
    match config.promotion:
        case PromotionPolicy.AUTOMATIC:
            promote(request)
        case PromotionPolicy.ON_APPROVAL:
            asking = {"approval": True, "approval_timeout_h": config.approval_timeout_h}
            run_id = asyncio.run(_ask(request.model_copy(update=asking)))
            what = f"{version.name} version {version.version}"
            announce(Happening.ASKED, version.name, f"{what} is put to a person: flow run {run_id}")
        case PromotionPolicy.NEVER:
            pass


async def _ask(request: PromoteRequest) -> str:
    """The flow run that waits for a person's word; one for each retraining, however often it is tried."""
    return await runs.start(
        PROMOTION,
        {"request": request.model_dump(mode="json")},
        name=f"{request.model} version {request.version}",
        key=f"approval of {request.model}/{request.version} after {flow_run.id}",
    )
