"""Derives the champion from the decisions: pure functions of the records in their order.

MLflow cannot set an alias on the condition that nobody else moved it meanwhile. So the alias alone cannot
tell which of two simultaneous promotions won, but the records can. Example: promotions A and B both found the
champion that decision 3 had made, so both have the `basis` 3. The one with the lower number wins, and the
other is `lost`. The alias only follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.promotion.decision import Action, Decision, DecisionOutcome

CHAMPION = "champion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The champion of an alias.

    `record` is the number of the latest decision that moved the alias, 0 before the first. `earlier` are the
    champions that rollbacks go back to; the next one is last.
    """

    alias: str
    version: str | None
    record: int
    earlier: tuple[str, ...] = ()


def champion_alias(isa: IsaLevel | None) -> str:
    """The alias that serving loads, for one instruction set or, when `isa` is None, for all."""
    return CHAMPION if isa is None else f"{CHAMPION}-{isa}"


def ruled(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """The decisions in order. A decision that is not the first on its basis is `lost`."""
    current: dict[str, int] = {}
    result = []
    for decision in sorted(decisions, key=_number):
        if decision.outcome is DecisionOutcome.DONE:
            if decision.basis == current.get(decision.alias, 0):
                current[decision.alias] = _number(decision)
            else:
                decision = replace(decision, outcome=DecisionOutcome.LOST)
        result.append(decision)
    return tuple(result)


def standing(decisions: Iterable[Decision], alias: str, *, found: str | None) -> Standing:
    """The champion. `found` is the version at the alias, which counts only before the first decision."""
    moves = _moves(decisions, alias)
    if not moves:
        return Standing(alias=alias, version=found, record=0)
    champions = [moves[0].from_version]
    for move in moves:
        below = champions[:-2] if move.action is Action.ROLLBACK else champions
        champions = [*below, move.to_version]
    *earlier, version = (champion for champion in champions if champion)
    return Standing(alias=alias, version=version, record=_number(moves[-1]), earlier=tuple(earlier))


def left_behind(decisions: Iterable[Decision], alias: str, *, found: str | None) -> bool:
    """Whether the alias still points at the champion before the last decision.

    It does when the process that wrote the decision died before it moved the alias.
    """
    moves = _moves(decisions, alias)
    return bool(moves) and found == moves[-1].from_version != moves[-1].to_version


def of_model(decisions: Sequence[Decision]) -> tuple[str, ...]:
    """Every alias that a decision is about, in the order of the first decision on each."""
    return tuple(dict.fromkeys(decision.alias for decision in decisions))


def _moves(decisions: Iterable[Decision], alias: str) -> list[Decision]:
    return [
        decision
        for decision in ruled(decisions)
        if decision.alias == alias and decision.outcome is DecisionOutcome.DONE
    ]


def _number(decision: Decision) -> int:
    return decision.number or 0
