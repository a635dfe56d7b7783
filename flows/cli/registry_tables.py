"""Prints decisions on registered models for a person."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from paddle_int8.tasks.promotion.decision import Decision, DecisionOutcome
from paddle_int8.tasks.promotion.ledger import History
from paddle_int8.tasks.promotion.summary import MARKS, sentence

COLOURS = {
    DecisionOutcome.DONE: "green",
    DecisionOutcome.UNCHANGED: "green",
    DecisionOutcome.REFUSED: "red",
    DecisionOutcome.DECLINED: "yellow",
    DecisionOutcome.LOST: "yellow",
}


def print_decision(console: Console, decision: Decision) -> None:
    """Prints every check, then the decision in one sentence."""
    for check in decision.checks:
        where = f" ({check.isa})" if check.isa else ""
        console.print(
            f"  {MARKS[check.outcome]} {check.criterion}{where}: {check.found}"
            + (f"; required {check.required}" if check.remedy else ""),
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        if check.remedy:
            console.print(f"      {check.remedy}", style="dim", highlight=False, markup=False, soft_wrap=True)
    console.print(f"[{COLOURS[decision.outcome]}]{decision.outcome.value.upper()}[/]", highlight=False)
    console.print(sentence(decision), highlight=False, markup=False, soft_wrap=True)


def print_history(console: Console, history: History) -> None:
    """Prints the champions, then the decisions, oldest first."""
    for alias, version in history.champions.items():
        console.print(f"{alias:<28} version {version}", highlight=False)
    if not history.decisions:
        console.print(f"no decisions on {history.name} yet", highlight=False, markup=False)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("#", "when (UTC)", "who", "action", "alias", "from", "to", "outcome", "reason"):
        table.add_column(heading, overflow="fold", no_wrap=heading.startswith("when"))
    for each in history.decisions:
        table.add_row(
            str(each.number),
            each.when[:16].replace("T", " "),
            each.who,
            each.action.value,
            each.alias,
            each.from_version or "-",
            each.to_version or "-",
            f"[{COLOURS[each.outcome]}]{each.outcome.value}[/]",
            each.reason,
        )
    console.print(table, highlight=False)
