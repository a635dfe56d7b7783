"""Sets up the automation that ends flow runs whose machine is gone. They would stay Running for ever.

A run of a deployment sends a heartbeat every `HEARTBEAT_S`, as set in `prefect.yaml`. When a run that has
neither ended nor paused sends none for `LOST_AFTER_S`, the automation sets it to Crashed, so that the next
run in its deployment's queue can start. If only the process died, its worker tells Prefect at once.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

NAME = "paddle-int8-lost-runs"
TAG = "paddle-int8"
"""The tag of every deployment in `prefect.yaml`. The automation leaves runs without it alone."""
HEARTBEAT_S = 30
"""The shortest interval that Prefect accepts."""
LOST_AFTER_S = 120
"""The time of three missed heartbeats, and a little more in case the server restarts."""
ENDED_OR_PAUSED = ("Completed", "Failed", "Cancelled", "Crashed", "Suspended", "Paused", "AwaitingRetry")
MESSAGE = f"no sign of life for {LOST_AFTER_S} s: its machine, or its worker and its process, are gone"


def watch() -> None:
    """Creates the automation, or updates it."""
    asyncio.run(_watch())


async def _watch() -> None:
    from prefect.automations import Automation, EventTrigger, Posture
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.events import ResourceSpecification

    from paddle_int8.flows.server.automations.installation import put

    heartbeat = "prefect.flow-run.heartbeat"
    tagged = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"}
    await put(
        Automation(
            name=NAME,
            description="Ends the runs of paddle-int8 whose machine is gone.",
            trigger=EventTrigger(
                after={heartbeat},
                expect={heartbeat, *(f"prefect.flow-run.{state}" for state in ENDED_OR_PAUSED)},
                match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
                match_related=ResourceSpecification(tagged),
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=timedelta(seconds=LOST_AFTER_S),
            ),
            actions=[ChangeFlowRunState(state=StateType.CRASHED, message=MESSAGE)],
        )
    )
