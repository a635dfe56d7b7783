"""The record of a promotion or a rollback."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from paddle_int8.tasks.contracts.verdict import CriterionResult


class Action(StrEnum):
    """What moves a champion's alias."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


class DecisionOutcome(StrEnum):
    """What came of a promotion or a rollback.

    `unchanged`: the version is the champion already. `refused`: a check failed. `declined`: a person
    said no. `lost`: another decision on the same champion came first.
    """

    DONE = "done"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    DECLINED = "declined"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who moved, or was not let move, a champion's alias, when, from where to where, and on what evidence.

    `id` is unique, so that writing it again after a lost answer is writing it once. `number` is its place
    in the order of all decisions on the model, None when it was not recorded.
    `basis` is the number of the decision that made `from_version` the champion, 0 for none: it moves
    the alias only when no earlier decision has the same basis. `when` is ISO 8601 in UTC.
    """

    id: str
    action: Action
    outcome: DecisionOutcome
    name: str
    alias: str
    from_version: str | None
    to_version: str | None
    basis: int
    who: str
    when: str
    reason: str
    checks: tuple[CriterionResult, ...]
    number: int | None = None
