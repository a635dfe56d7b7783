"""What may become champion: every check by itself, and a refusal by default."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.verdict import CriterionResult
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome
from paddle_int8.tasks.gate.criteria import judge as gate
from paddle_int8.tasks.promotion.judgement import Challenger, Comparison, judge, passed
from tests.unit.evidence_factory import SKYLAKE, VNNI, counted, good_evidence

EVIDENCE = good_evidence(isas=(VNNI, SKYLAKE))
GOOD = Challenger(
    name="digits",
    version="2",
    registered_bundle_digest="b" * 64,
    bundle_digest="b" * 64,
    registered_model_digest=EVIDENCE.digest,
    model_digest=EVIDENCE.digest,
    verdict=gate(EVIDENCE, GateConfig()),
    evidence=EVIDENCE,
)
ALIKE = Comparison(isa=VNNI, metric=counted(lost=2, gained=2), note="scores of both releases")


def judged(challenger: Challenger = GOOD, **changes: Any) -> tuple[CriterionResult, ...]:
    asked: dict[str, Any] = {
        "targets": (VNNI,),
        "comparisons": (ALIKE,),
        "champion": "1",
        "max_drop_pp": 1.0,
    }
    return judge(challenger, **{**asked, **changes})


def only_failure(checks: tuple[CriterionResult, ...]) -> CriterionResult:
    (failed,) = [check for check in checks if check.outcome is not Outcome.APPROVED]
    assert failed.remedy
    assert not passed(checks)
    return failed


def test_good_challenger_passes() -> None:
    assert passed(judged())


def test_no_checks_is_not_a_pass() -> None:
    assert not passed(())


@pytest.mark.parametrize(
    "verdict",
    [
        pytest.param(replace(GOOD.verdict, outcome=Outcome.REJECTED), id="rejected"),  # type: ignore[type-var]
        pytest.param(replace(GOOD.verdict, outcome=Outcome.INCONCLUSIVE), id="inconclusive"),  # type: ignore[type-var]
        pytest.param(replace(GOOD.verdict, results=()), id="approved without criteria"),  # type: ignore[type-var]
    ],
)
def test_verdict_other_than_an_approval_refuses(verdict: Any) -> None:
    assert only_failure(judged(replace(GOOD, verdict=verdict))).criterion == "verdict"


def test_approval_with_a_criterion_that_failed_refuses() -> None:
    assert GOOD.verdict is not None
    first, *others = GOOD.verdict.results
    forged = replace(GOOD.verdict, results=(replace(first, outcome=Outcome.REJECTED), *others))
    assert "not approved" in only_failure(judged(replace(GOOD, verdict=forged))).found


def test_missing_verdict_refuses() -> None:
    failed = [check.criterion for check in judged(replace(GOOD, verdict=None)) if check.remedy]
    assert failed == ["verdict", "digest"]


@pytest.mark.parametrize("field", ["bundle_digest", "model_digest", "registered_model_digest"])
@pytest.mark.parametrize("value", ["0" * 64, ""])
def test_bytes_other_than_those_judged_refuse(field: str, value: str) -> None:
    assert only_failure(judged(replace(GOOD, **{field: value}))).criterion == "digest"  # type: ignore[arg-type]


def test_bytes_that_agree_with_their_tag_but_were_not_judged_refuse() -> None:
    swapped = replace(GOOD, model_digest="0" * 64, registered_model_digest="0" * 64)
    assert "judged model" in only_failure(judged(swapped)).found


def test_instruction_set_without_evidence_refuses() -> None:
    amx = IsaLevel.AVX512_CORE_AMX
    failed = only_failure(judged(targets=(amx,), comparisons=(replace(ALIKE, isa=amx),)))
    assert (failed.criterion, failed.isa) == ("instruction set", amx)


@pytest.mark.parametrize(
    ("lost", "outcome"),
    [(20, Outcome.APPROVED), (40, Outcome.INCONCLUSIVE), (100, Outcome.REJECTED)],
)
def test_drop_against_the_champion_decides_by_its_bounds(lost: int, outcome: Outcome) -> None:
    comparison = replace(ALIKE, metric=counted(lost=lost, gained=0))
    check = judged(comparisons=(comparison,))[-1]
    assert (check.criterion, check.outcome) == ("not worse than the champion, top1", outcome)


def test_drop_exactly_at_the_margin_passes() -> None:
    metric = counted(lost=20, gained=0)
    at = judged(comparisons=(replace(ALIKE, metric=metric),), max_drop_pp=metric.drop_upper_pp)
    assert passed(at)
    below = judged(comparisons=(replace(ALIKE, metric=metric),), max_drop_pp=metric.drop_upper_pp - 1e-9)
    assert not passed(below)


def test_instruction_set_that_was_not_compared_refuses() -> None:
    failed = only_failure(judged(targets=(VNNI, SKYLAKE)))
    assert (failed.isa, failed.outcome) == (SKYLAKE, Outcome.INCONCLUSIVE)


def test_champion_that_cannot_be_compared_refuses_and_says_why() -> None:
    failed = only_failure(judged(comparisons=(Comparison(isa=VNNI, metric=None, note="no file"),)))
    assert "no file" in failed.found


def test_first_champion_needs_no_comparison() -> None:
    assert passed(judged(champion=None, comparisons=()))


def test_the_champions_own_model_again_needs_no_comparison() -> None:
    assert passed(judged(same_model=True, comparisons=()))
