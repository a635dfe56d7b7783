"""Sets up an automation that reports failures, rejections, promotions and rollbacks to a webhook."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from pydantic import SecretStr

from paddle_int8.flows.server.events import RESOURCE, Happening

NAME = "paddle-int8-notify"
TOLD = tuple(each for each in Happening if each not in (Happening.APPROVED, Happening.INCONCLUSIVE))
BODY = """{{ {"event": event.event, "model": event.payload.model, "detail": event.payload.detail,
"text": event.event ~ ": " ~ event.payload.model ~ ": " ~ event.payload.detail} | tojson }}"""
"""Template of the JSON body. Chat programs show its key `text`."""


def notify(url: SecretStr) -> None:
    """Creates the automation and its webhook, or updates both. The server keeps the URL encrypted."""
    asyncio.run(_notify(url))


async def _notify(url: SecretStr) -> None:
    from prefect.automations import Automation, CallWebhook, EventTrigger, Posture
    from prefect.blocks.webhook import Webhook
    from prefect.types import SecretDict

    from paddle_int8.flows.server.automations.installation import put

    headers = SecretDict({"Content-Type": "application/json"})
    document = await Webhook(method="POST", url=url, headers=headers).asave(NAME, overwrite=True)
    automation = Automation(
        name=NAME,
        description="Tells the webhook at PADDLE_INT8_NOTIFY_URL.",
        trigger=EventTrigger(
            expect={each.value for each in TOLD},
            match={"prefect.resource.id": f"{RESOURCE}.*"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[CallWebhook(block_document_id=document, payload=BODY)],
    )
    await put(automation)
