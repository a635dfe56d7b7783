"""Starts the deployment `follow` for a promoted version, once, however often it is asked to.

For the same idempotency key, Prefect returns the same flow run. The webhook and the reconciliation use the
same key for a version's first attempt, so the version is released once. Each further attempt has its own key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paddle_int8.flows.server.deployments import runs
from paddle_int8.tasks.following.request import FollowRequest

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

DEPLOYMENT = "follow/follow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A flow run for a version. `state` is the type of Prefect's state, such as `COMPLETED`."""

    number: int
    flow_run_id: str
    state: str

    @property
    def ended(self) -> bool:
        return self.state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


async def start(request: FollowRequest, *, attempt: int = 1) -> str:
    """Starts the flow run of this attempt, unless it was started before. Returns the flow run's id.

    Raises: RegistryError when there is no such deployment, or Prefect cannot be reached.
    """
    return await runs.start(
        DEPLOYMENT,
        {"request": request.model_dump(mode="json")},
        name=f"{request.model} version {request.version}",
        key=_key(request, attempt),
    )


async def made(request: FollowRequest, *, most: int) -> tuple[Attempt, ...]:
    """The flow runs there are for the version, oldest first."""
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterIdempotencyKey

    keys = {_key(request, number): number for number in range(1, most + 1)}
    wanted = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=list(keys)))
    async with get_client() as client:
        found = await client.read_flow_runs(flow_run_filter=wanted)
    made = (_attempt(run, keys) for run in found)
    return tuple(sorted(made, key=lambda each: each.number))


def next_action(last: Attempt | None, most: int) -> str:
    """`started` for the next attempt, `running` while one is under way, `given up` after the last."""
    if last is None:
        return "started"
    if not last.ended:
        return "running"
    return "started" if last.number < most else "given up"


def _attempt(run: FlowRun, keys: dict[str, int]) -> Attempt:
    state = run.state_type
    return Attempt(
        number=keys[run.idempotency_key or ""],
        flow_run_id=str(run.id),
        state=state.value if state else "SCHEDULED",
    )


def _key(request: FollowRequest, attempt: int) -> str:
    return f"follow {request.model}/{request.version}@{request.alias} attempt {attempt}"
