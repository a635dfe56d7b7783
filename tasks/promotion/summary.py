"""Puts a decision into words, for Prefect's artifact page and for the terminal."""

from __future__ import annotations

from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.promotion.decision import Decision, DecisionOutcome

MARKS = {Outcome.APPROVED: "✓", Outcome.REJECTED: "✗", Outcome.INCONCLUSIVE: "?"}


def sentence(decision: Decision) -> str:
    """What happened, in one line."""
    alias, to, before = decision.alias, decision.to_version, decision.from_version
    match decision.outcome:
        case DecisionOutcome.DONE:
            return f"{alias} of {decision.name} is now version {to} (before: {before or 'none'})."
        case DecisionOutcome.UNCHANGED:
            return f"Version {to} is the {alias} of {decision.name} already."
        case DecisionOutcome.REFUSED:
            return f"Refused: {alias} of {decision.name} stays version {before or 'none'}."
        case DecisionOutcome.DECLINED:
            return f"Declined by {decision.who}: {alias} of {decision.name} stays version {before or 'none'}."
        case DecisionOutcome.LOST:
            return (
                f"Lost: another decision on {alias} of {decision.name} came first. Nothing was moved for "
                f"version {to}; see the history, and ask again if it is still wanted."
            )


def markdown(decision: Decision) -> str:
    """The sentence, the checks as a table, and who decided."""
    lines = [f"## {decision.action.value.capitalize()}: {decision.outcome.value}", "", sentence(decision), ""]
    if decision.checks:
        lines += ["| | check | found | required | what to do |", "|---|---|---|---|---|"]
        for check in decision.checks:
            where = f" ({check.isa})" if check.isa else ""
            cells = (MARKS[check.outcome], check.criterion + where, check.found, check.required, check.remedy)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    reason = f" Reason: {decision.reason}" if decision.reason else ""
    number = f", decision {decision.number}" if decision.number else ""
    lines.append(f"{decision.when}, {decision.who}{number}.{reason}")
    return "\n".join(lines)
