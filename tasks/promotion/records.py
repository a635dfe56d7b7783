"""Who is champion, as the decisions say: pure functions of the records in their order.

MLflow's aliases have no compare-and-set, so an alias alone cannot tell which of two promotions at once
has won. The records can: each names the record that it stands on (`basis`), and of several that stand
on the same one the first wins. The alias only follows.
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

    `record` is the number of the decision that made it so, 0 before the first. `earlier` are the
    champions that a rollback goes back to, the latest last.
    """

    alias: str
    version: str | None
    record: int
    earlier: tuple[str, ...] = ()


def champion_alias(isa: IsaLevel | None) -> str:
    """The alias that serving of one instruction set, or of all of them, loads."""
    return CHAMPION if isa is None else f"{CHAMPION}-{isa}"


def ruled(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """The decisions in order; those that came second on the same basis are `lost`."""
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
    """Who is champion. `found` is where the alias points, which counts before the first decision."""
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
    """Whether the alias still points at the champion before the last one: the mover died in between."""
    moves = _moves(decisions, alias)
    return bool(moves) and found == moves[-1].from_version != moves[-1].to_version


def of_model(decisions: Sequence[Decision]) -> tuple[str, ...]:
    """Every alias that a decision is about, in the order of their first one."""
    return tuple(dict.fromkeys(decision.alias for decision in decisions))


def _moves(decisions: Iterable[Decision], alias: str) -> list[Decision]:
    return [
        decision
        for decision in ruled(decisions)
        if decision.alias == alias and decision.outcome is DecisionOutcome.DONE
    ]


def _number(decision: Decision) -> int:
    return decision.number or 0
