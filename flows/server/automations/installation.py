"""Writes the Prefect automations that `paddle-int8 deploy` puts onto the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.automations import Automation


async def put(automation: Automation) -> None:
    """Creates the automation, or updates the one that has its name."""
    try:
        existing = await type(automation).aread(name=automation.name)
    except ValueError:
        await automation.acreate()
    else:
        automation.id = existing.id
        await automation.aupdate()
