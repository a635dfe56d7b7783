"""The table of operators: each line is whole, and means what its first comment says."""

from __future__ import annotations

import pytest

from paddle_int8.tasks.engines.paddle.pir.exceptions import EXCEPTIONS
from paddle_int8.tasks.engines.paddle.pir.table import TABLE, Operand, Result, rule_of, rules

FIELDS = {"as", "in", "out", "attrs", "set", "new", "by"}


def test_table_has_an_operator_a_line_and_no_line_twice() -> None:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    assert len(lines) == len(rules()) >= 150


def test_lines_say_nothing_that_is_not_understood() -> None:
    import yaml

    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    assert {name: line.keys() - FIELDS for name, line in table.items() if line.keys() - FIELDS} == {}
    assert {rule.by for rule in rules().values()} - {""} == EXCEPTIONS.keys()


def test_words_of_a_line_name_slots_rows_and_attributes() -> None:
    concat, norm = rules()["concat"], rules()["batch_norm"]
    assert concat.operands == (Operand(slot="X", row=True), Operand(attribute="axis", slot="AxisTensor"))
    assert rules()["sum"].operands[1] == Operand(attribute="dim")
    assert norm.results[1] == Result(slot="MeanOut", same_as="Mean")
    assert norm.renamed == {"data_format": "data_layout"}
    assert rules()["assign_out"].operands[1] == Operand()


@pytest.mark.parametrize(
    ("name", "legacy"),
    [
        ("pd_op.add", "elementwise_add"),
        ("pd_op.relu_", "relu"),
        ("pd_op.batch_norm_", "batch_norm"),
        ("pd_op.nothing", None),
        ("custom_op.relu", None),
        ("builtin.split", None),
    ],
)
def test_operator_is_found_by_its_name_also_when_it_works_in_place(name: str, legacy: str | None) -> None:
    rule = rule_of(name)
    assert (rule and rule.legacy) == legacy
