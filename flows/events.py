"""What the pipeline tells Prefect's automations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from prefect.events import emit_event

from tasks.tracking.connection import redact

RESOURCE = "paddle-int8.model"
MAX_CHARACTERS = 2000


class Happening(StrEnum):
    """Names of the events. Their resource is `paddle-int8.model.<release or registered model>`."""

    FAILED = "paddle-int8.release.failed"
    REJECTED = "paddle-int8.release.rejected"
    INCONCLUSIVE = "paddle-int8.release.inconclusive"
    APPROVED = "paddle-int8.release.approved"
    PROMOTED = "paddle-int8.model.promoted"
    NOT_PROMOTED = "paddle-int8.model.not-promoted"


def announce(what: Happening, name: str, detail: str) -> None:
    """Emits the event; `detail` is a sentence for people, without secrets."""
    emit_event(
        event=what.value,
        resource={"prefect.resource.id": f"{RESOURCE}.{name}", "prefect.resource.name": name},
        payload={"model": name, "detail": redact(detail)[:MAX_CHARACTERS]},
    )


@contextmanager
def failure_announced(name: str) -> Iterator[None]:
    """Emits `FAILED` with the error that leaves the context."""
    try:
        yield
    except Exception as error:
        announce(Happening.FAILED, name, str(error))
        raise
