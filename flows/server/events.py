"""Emits the Prefect events about releases and promotions, which Prefect's automations react to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from prefect.events import emit_event

from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.promotion.decision import Action, Decision, DecisionOutcome
from paddle_int8.tasks.promotion.summary import sentence
from paddle_int8.tasks.tracking.connection import redact

RESOURCE = "paddle-int8.model"
MAX_CHARACTERS = 2000


class Happening(StrEnum):
    """The names of the events. Their resource is `paddle-int8.model.<release or registered model>`."""

    FAILED = "paddle-int8.release.failed"
    REJECTED = "paddle-int8.release.rejected"
    INCONCLUSIVE = "paddle-int8.release.inconclusive"
    APPROVED = "paddle-int8.release.approved"
    PROMOTED = "paddle-int8.model.promoted"
    NOT_PROMOTED = "paddle-int8.model.not-promoted"
    ROLLED_BACK = "paddle-int8.model.rolled-back"
    NOT_ROLLED_BACK = "paddle-int8.model.not-rolled-back"
    ASKED = "paddle-int8.model.awaits-approval"


VERDICTS = {
    Outcome.APPROVED: Happening.APPROVED,
    Outcome.REJECTED: Happening.REJECTED,
    Outcome.INCONCLUSIVE: Happening.INCONCLUSIVE,
}
CAME_OF = {
    Action.PROMOTE: (Happening.PROMOTED, Happening.NOT_PROMOTED),
    Action.ROLLBACK: (Happening.ROLLED_BACK, Happening.NOT_ROLLED_BACK),
}
"""The events for a decision: the first when its alias moved, the second when it did not."""


def announce(what: Happening, name: str, detail: str) -> None:
    """Emits the event `what`. `detail` is a sentence for people; credentials in it are masked."""
    emit_event(
        event=what.value,
        resource={"prefect.resource.id": f"{RESOURCE}.{name}", "prefect.resource.name": name},
        payload={"model": name, "detail": redact(detail)[:MAX_CHARACTERS]},
    )


@contextmanager
def failure_announced(name: str, what: Happening = Happening.FAILED) -> Iterator[None]:
    """Emits the event `what` when an error leaves the context."""
    try:
        yield
    except Exception as error:
        announce(what, name, str(error))
        raise


def announce_verdict(released: Release) -> None:
    """Emits the event for the verdict of a release."""
    version = released.registered
    where = f", registered as {version.name} version {version.version}" if version else ""
    detail = f"{released.name}: {released.outcome.value}{where}; MLflow run {released.run_id}"
    announce(VERDICTS[released.outcome], released.name, detail)


def announce_decision(decision: Decision) -> None:
    """Emits the event for a promotion or a rollback; none when the version was champion already."""
    if decision.outcome is not DecisionOutcome.UNCHANGED:
        moved, stayed = CAME_OF[decision.action]
        what = moved if decision.outcome is DecisionOutcome.DONE else stayed
        announce(what, decision.name, sentence(decision))
