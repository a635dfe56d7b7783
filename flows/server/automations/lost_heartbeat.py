"""An automation that ends the flow runs whose machine is gone, which would say Running for ever.

A run of a deployment sends a heartbeat every `HEARTBEAT_S` (`prefect.yaml` sets it); a run that has neither
sent one for `LOST_AFTER_S` nor ended or paused is set to Crashed. Its deployment's place in the queue is free
then. Of a run whose worker still lives Prefect knows at once.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

NAME = "paddle-int8-lost-runs"
TAG = "paddle-int8"
"""Of every deployment of `prefect.yaml`; other runs on the server are not touched."""
HEARTBEAT_S = 30
"""The least that Prefect takes."""
LOST_AFTER_S = 120
"""Three missed heartbeats, and a little more for a server that starts anew."""
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
