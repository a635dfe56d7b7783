"""The operators of Paddle 3 that are translated, from the table that translates them."""

from __future__ import annotations

from docs.generate.schema import table
from paddle_int8.tasks.engines.paddle.pir.table import Rule, rules


def operators(_name: str) -> str:
    """How many there are, and a row for each: its two names, and what Paddle 2.6 demands of it."""
    rows = [(f"`{rule.name}`", f"`{rule.legacy}`", _constants(rule), _held(rule)) for rule in _sorted()]
    head = ("Paddle 3", "Paddle 2.6", "must be constants", "must have this value")
    return f"{len(rows)} operators.\n\n{table(head, rows)}"


def _sorted() -> list[Rule]:
    return [rules()[name] for name in sorted(rules())]


def _constants(rule: Rule) -> str:
    """Operands that Paddle 2.6 takes as attributes alone."""
    return ", ".join(f"`{each.attribute}`" for each in rule.operands if each.attribute and not each.slot)


def _held(rule: Rule) -> str:
    """Attributes that Paddle 2.6 has not."""
    return ", ".join(f"`{name}`: {value}" for name, value in rule.new.items())
