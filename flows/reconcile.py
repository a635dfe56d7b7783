"""The flow that repairs what got lost: it starts missing releases and moves aliases that were left behind."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from prefect import flow
from prefect.artifacts import create_table_artifact

from paddle_int8.flows.server.following import attempts
from paddle_int8.tasks.config.parameter import Parameter
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.following.request import FollowRequest, ReconcileRequest
from paddle_int8.tasks.following.task import find_unreleased
from paddle_int8.tasks.promotion.task import put_aliases_right


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """A version without a release, and what was done about it: `started`, `running` or `given up`."""

    model: str
    version: int
    alias: str
    action: str
    flow_run_id: str


@flow(name="reconcile", persist_result=False)
def reconcile(request: Parameter[ReconcileRequest]) -> tuple[Reconciled, ...]:
    """Starts the releases that promoted FP32 models do not have yet, and puts aliases right.

    A release can be missing because a webhook was lost or an attempt failed; it is started again until
    `request.attempts` are spent. An alias can be wrong because a promotion died after its record was written.

    Raises: PipelineError when there is no Prefect server, or MLflow cannot be reached.
    """
    Settings().require_prefect_server()
    put_aliases_right()
    done = tuple(asyncio.run(_reconcile(each, request.attempts)) for each in find_unreleased())
    if done:
        create_table_artifact(
            [
                {"model": each.model, "version": each.version, "alias": each.alias, "action": each.action}
                for each in done
            ],
            key="reconciliation",
            description="Promoted versions without a release.",
        )
    return done


async def _reconcile(missing: FollowRequest, most: int) -> Reconciled:
    """The attempt that is missing; a completed one that left a release open is followed by another."""
    before = await attempts.made(missing, most=most)
    last = before[-1] if before else None
    action, flow_run_id = attempts.next_action(last, most), last.flow_run_id if last else ""
    if action == "started":
        flow_run_id = await attempts.start(missing, attempt=last.number + 1 if last else 1)
    return Reconciled(
        model=missing.model,
        version=missing.version,
        alias=missing.alias,
        action=action,
        flow_run_id=flow_run_id,
    )
