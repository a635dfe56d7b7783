"""Reads `operators.yaml`, which says what each PIR operator is in Paddle 2.6. Loads no Paddle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from paddle_int8.tasks.engines.paddle.pir.program import Attributes, Json

TABLE = Path(__file__).with_name("operators.yaml")
LEFT_OUT = "_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """Where an operand goes: to `attribute` when it is a constant and there is one, else into `slot`.

    row: whether the operand is a row of tensors.
    """

    attribute: str = ""
    slot: str = ""
    row: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The slot of a result; `same_as` is the slot of the input into whose tensor it is written."""

    slot: str
    row: bool = False
    same_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A line of the table, whose first comment describes each field."""

    name: str
    legacy: str
    operands: tuple[Operand, ...]
    results: tuple[Result, ...]
    renamed: Mapping[str, str]
    fixed: Attributes
    new: Attributes
    by: str


@cache
def rules() -> Mapping[str, Rule]:
    """Every line of the table, by the PIR operator's name without its dialect."""
    lines: dict[str, Json] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return {name: _rule(name, line) for name, line in lines.items()}


def rule_of(name: str) -> Rule | None:
    """The line of `pd_op.name`. An operator that works in place, `relu_`, has the line of `relu`."""
    dialect, _, kind = name.partition(".")
    if dialect != "pd_op":
        return None
    return rules().get(kind) or rules().get(kind.removesuffix("_"))


def _rule(name: str, line: Json) -> Rule:
    return Rule(
        name=name,
        legacy=line.get("as", name),
        operands=tuple(_operand(word) for word in line.get("in", "").split()),
        results=tuple(_result(word) for word in line["out"].split()),
        renamed=line.get("attrs", {}),
        fixed=line.get("set", {}),
        new=line.get("new", {}),
        by=line.get("by", ""),
    )


def _operand(word: str) -> Operand:
    if word == LEFT_OUT:
        return Operand()
    attribute, colon, slot = word.rpartition(":")
    if not colon:
        return Operand(slot=slot.removesuffix("*"), row=slot.endswith("*"))
    return Operand(attribute=attribute, slot=slot)


def _result(word: str) -> Result:
    slot, _, same_as = word.partition("=")
    return Result(slot=slot.removesuffix("*"), row=slot.endswith("*"), same_as=same_as)
