"""Each operator of the table: Paddle 3 exports a program with it and answers, Paddle 2.6 answers the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from paddle_int8.tasks.engines.paddle.pir.table import rule_of, rules
from tests.integration.paddle3.run import Outcome

pytestmark = pytest.mark.paddle
MOST = 1e-5
"""The greatest difference of an answer, in parts of its greatest value or of 1, whichever is more."""


@pytest.fixture(scope="module")
def found(outcomes: Callable[[str], Mapping[str, Outcome]]) -> Mapping[str, Outcome]:
    return outcomes("operator_cases")


@pytest.mark.parametrize("operator", rules())
def test_operator_answers_in_paddle26_as_in_paddle3(found: Mapping[str, Outcome], operator: str) -> None:
    cases = {name: each for name, each in found.items() if name.partition(":")[0] == operator}
    used = {rule.name for each in cases.values() for name in each.operators if (rule := rule_of(name))}
    assert operator in used, f"{operator} is in no program: {cases}"
    for name, case in cases.items():
        assert not case.error, f"{name}: {case.error}"
        assert case.difference <= MOST, name
