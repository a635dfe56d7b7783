"""The records, in their order, decide who is champion."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.promotion.decision import Decision, DecisionOutcome
from paddle_int8.tasks.promotion.records import champion_alias, left_behind, of_model, ruled, standing
from tests.decision_factory import build_decision, promoted, rolled_back


def test_standing_without_decisions_is_where_the_alias_points() -> None:
    assert standing([], "champion", found="4").version == "4"
    assert standing([], "champion", found=None).version is None


def test_standing_after_promotions_keeps_the_way_back() -> None:
    records = [
        promoted(1, "1", basis=0, over=None),
        promoted(2, "2", basis=1, over="1"),
        promoted(3, "5", basis=2, over="2"),
    ]
    now = standing(records, "champion", found="9")
    assert (now.version, now.record, now.earlier) == ("5", 3, ("1", "2"))


def test_standing_after_rollbacks_goes_back_one_at_a_time() -> None:
    records = [
        promoted(1, "1", basis=0, over=None),
        promoted(2, "2", basis=1, over="1"),
        promoted(3, "3", basis=2, over="2"),
        rolled_back(4, "2", basis=3, over="3"),
        rolled_back(5, "1", basis=4, over="2"),
        promoted(6, "4", basis=5, over="1"),
    ]
    assert standing(records[:4], "champion", found=None).earlier == ("1",)
    assert standing(records[:5], "champion", found=None).version == "1"
    now = standing(records, "champion", found=None)
    assert (now.version, now.earlier) == ("4", ("1",))


def test_standing_of_an_alias_set_before_the_first_decision_can_be_rolled_back_to() -> None:
    now = standing([promoted(1, "8", basis=0, over="7")], "champion", found="8")
    assert (now.version, now.earlier) == ("8", ("7",))


def test_two_promotions_on_one_basis_the_first_record_wins_whatever_the_order_of_reading() -> None:
    first, second = promoted(1, "2", basis=0, over="1"), promoted(2, "3", basis=0, over="1")
    outcomes = [each.outcome for each in ruled([second, first])]
    assert outcomes == [DecisionOutcome.DONE, DecisionOutcome.LOST]
    assert standing([second, first], "champion", found="3").version == "2"


def test_promotion_on_a_champion_that_came_back_is_lost() -> None:
    """A version may be champion twice; a decision stands on the record, not on the version."""
    records = [
        promoted(1, "1", basis=0, over=None),
        promoted(2, "2", basis=1, over="1"),
        rolled_back(3, "1", basis=2, over="2"),
        promoted(4, "3", basis=1, over="1"),
    ]
    assert ruled(records)[3].outcome is DecisionOutcome.LOST


@pytest.mark.parametrize("outcome", [DecisionOutcome.REFUSED, DecisionOutcome.DECLINED])
def test_decision_that_moved_nothing_stays_out_of_the_way(outcome: DecisionOutcome) -> None:
    records = [
        promoted(1, "1", basis=0, over=None),
        build_decision(2, basis=1, outcome=outcome),
        promoted(3, "3", basis=1, over="1"),
    ]
    assert [each.outcome for each in ruled(records)] == [DecisionOutcome.DONE, outcome, DecisionOutcome.DONE]


def test_aliases_of_instruction_sets_stand_apart() -> None:
    alias = champion_alias(IsaLevel.AVX512_CORE_VNNI)
    assert alias == "champion-avx512_core_vnni"
    records = [
        promoted(1, "1", basis=0, over=None),
        build_decision(2, basis=0, alias=alias, from_version=None, to_version="2"),
    ]
    assert standing(records, "champion", found=None).version == "1"
    assert standing(records, alias, found=None).version == "2"
    assert of_model(records) == ("champion", alias)


@pytest.mark.parametrize(("found", "left"), [("1", True), ("2", False), ("7", False), (None, False)])
def test_alias_is_left_behind_only_where_the_last_move_found_it(found: str | None, left: bool) -> None:
    records = [
        promoted(1, "1", basis=0, over=None),
        promoted(2, "2", basis=1, over="1"),
        promoted(3, "3", basis=1, over="1"),
    ]
    assert left_behind(records, "champion", found=found) is left
    assert left_behind(records[:1], "champion", found=None)
    assert not left_behind([], "champion", found=found)


@st.composite
def races(draw: st.DrawFn) -> list[Decision]:
    """Promotions whose bases are of any earlier state, as slow processes write them."""
    count = draw(st.integers(1, 12))
    return [
        promoted(number, str(number), basis=draw(st.integers(0, number - 1)), over=None)
        for number in range(1, count + 1)
    ]


@given(races(), st.randoms(use_true_random=False))
def test_any_race_has_one_winner_for_each_basis(records: list[Decision], order: random.Random) -> None:
    decided = ruled(records)
    won = [each for each in decided if each.outcome is DecisionOutcome.DONE]
    assert [each.basis for each in won] == [0, *(each.number for each in won[:-1])]
    shuffled = order.sample(records, len(records))
    assert ruled(shuffled) == decided
    assert standing(shuffled, "champion", found=None).version == won[-1].to_version
