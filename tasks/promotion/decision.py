"""The record of one promotion or rollback."""

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

    | outcome | meaning |
    |---|---|
    | `done` | the version is champion now |
    | `unchanged` | the version was champion already |
    | `refused` | a check failed |
    | `declined` | a person said no |
    | `lost` | another decision on the same champion came first |
    """

    DONE = "done"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    DECLINED = "declined"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who asked to move a champion's alias, when, from which version to which, and what the checks said.

    `id` is unique: if MLflow's answer is lost and the decision is written again, it is still recorded once.
    `number` is the decision's position among all decisions on the model, None when it was not recorded.
    `basis` is the number of the decision that made `from_version` the champion, 0 when none did. A decision
    moves the alias only when no earlier decision has the same basis. `when` is ISO 8601 in UTC.
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
