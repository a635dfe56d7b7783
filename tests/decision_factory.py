"""Makes decisions about promotions from short texts, for tests."""

from __future__ import annotations

from typing import Any

from paddle_int8.tasks.promotion.decision import Action, Decision, DecisionOutcome


def build_decision(number: int | None = None, *, basis: int = 0, **changes: Any) -> Decision:
    """A promotion of version 2 over version 1 to `champion`."""
    fields: dict[str, Any] = {
        "id": f"id-{number}-{basis}",
        "action": Action.PROMOTE,
        "outcome": DecisionOutcome.DONE,
        "name": "digits",
        "alias": "champion",
        "from_version": "1",
        "to_version": "2",
        "who": "ada",
        "when": "2026-01-02T03:04:05+00:00",
        "reason": "",
        "checks": (),
    }
    return Decision(**{**fields, **changes}, number=number, basis=basis)


def promoted(number: int, to: str, *, basis: int, over: str | None) -> Decision:
    return build_decision(number, basis=basis, from_version=over, to_version=to)


def rolled_back(number: int, to: str, *, basis: int, over: str) -> Decision:
    return build_decision(number, basis=basis, from_version=over, to_version=to, action=Action.ROLLBACK)
