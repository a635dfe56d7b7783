"""A person's decision on a promotion."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from paddle_int8.flows.server.approval import Approval, Word, answered, ask
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.promotion.decision import DecisionOutcome
from tests.decision_factory import build_decision


@pytest.mark.parametrize(
    ("word", "outcome"), [(Word.APPROVE, DecisionOutcome.DONE), (Word.REJECT, DecisionOutcome.DECLINED)]
)
def test_word_becomes_the_decision_with_who_and_why(word: Word, outcome: DecisionOutcome) -> None:
    asked = build_decision(reason="new camera")
    given = answered(asked, Approval(word=word, reason="looks right", who="grace"))
    assert (given.outcome, given.who, given.reason) == (outcome, "grace", "new camera. looks right")


def test_word_without_a_name_or_a_reason_keeps_those_of_the_request() -> None:
    given = answered(build_decision(reason="new camera"), Approval(word=Word.APPROVE))
    assert (given.who, given.reason) == ("ada", "new camera")


def test_empty_form_is_no_word() -> None:
    with pytest.raises(ValidationError, match="word"):
        Approval.model_validate({})


def test_approval_outside_of_a_deployment_says_where_it_can_be_had() -> None:
    with pytest.raises(ConfigError, match="paddle-int8 deploy"):
        ask(build_decision(), timeout_h=1)
