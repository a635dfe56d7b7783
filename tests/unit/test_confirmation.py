"""The candidate of a search that is tested on samples which the search did not see."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import Judged
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.gate.confirmation import (
    CONFIRMATION,
    fails_by_its_answers,
    finalist,
    is_right,
    unconfirmed,
)
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.gate.looks import shared
from tests.release_factory import build_artifacts
from tests.unit.evidence_factory import counted, good_evidence, ratio, spoil, with_speed

GATE = GateConfig()
HOPELESS = spoil(good_evidence("KL-qdq", speedup=4.0), metrics=(counted(lost=20, gained=0, samples=600),))
PROMISING = spoil(good_evidence("avg-qdq", speedup=3.0), metrics=(counted(lost=2, gained=0, samples=600),))
APPROVED = spoil(good_evidence("hist-qdq", speedup=2.0), metrics=(counted(lost=0, gained=0, samples=600),))
EQUAL = spoil(good_evidence("hist-qdq"), metrics=(counted(lost=0, gained=0, samples=100),))
TOO_SLOW = with_speed(APPROVED, ratio(0.5))


def judged(evidence: CandidateEvidence) -> Judged:
    with tempfile.TemporaryDirectory() as folder:
        quantized, deployable = build_artifacts(Path(folder), evidence.candidate)
    return Judged(
        quantized=quantized, deployable=deployable, evidence=evidence, verdict=judge(evidence, GATE)
    )


def finalist_of(*evidence: CandidateEvidence, unseen: int) -> str | None:
    found = finalist([judged(item) for item in evidence], GATE, unseen)
    return found.candidate.name if found else None


def test_finalist_is_the_fastest_that_passes_on_the_unseen_samples_at_its_rates() -> None:
    assert judged(PROMISING).verdict.outcome is Outcome.INCONCLUSIVE
    assert finalist_of(HOPELESS, PROMISING, APPROVED, unseen=2_000) == "avg-qdq"


def test_finalist_with_few_unseen_samples_is_surer_and_slower() -> None:
    assert finalist_of(HOPELESS, PROMISING, APPROVED, unseen=650) == "hist-qdq"


def test_finalist_passes_all_other_criteria() -> None:
    assert finalist_of(PROMISING, TOO_SLOW, unseen=650) == "avg-qdq"


def test_finalist_of_nothing_is_none() -> None:
    assert finalist_of(unseen=1000) is None


@pytest.mark.parametrize(
    ("evidence", "outcome"),
    [(APPROVED, Outcome.INCONCLUSIVE), (TOO_SLOW, Outcome.REJECTED)],
    ids=["approved in the search", "rejected in the search"],
)
def test_candidate_that_was_not_the_finalist_is_never_approved(
    evidence: CandidateEvidence, outcome: Outcome
) -> None:
    verdict = unconfirmed(judge(evidence, GATE))
    assert verdict.outcome is outcome
    assert [each.outcome for each in verdict.results if each.criterion == CONFIRMATION] == [
        Outcome.INCONCLUSIVE
    ]


def test_finalist_of_a_test_with_half_of_the_error_needs_more_samples() -> None:
    """299 equal outcomes pass with the whole error, and 368 with the half."""
    alone = shared(GATE, tests=1)
    assert is_right(judged(EQUAL), alone, 299)
    assert not is_right(judged(EQUAL), shared(GATE), 299)
    assert is_right(judged(EQUAL), shared(GATE), 368)


def test_mix_that_keeps_more_than_another_is_no_finalist_unless_it_is_faster_beyond_doubt() -> None:
    kept = (("conv2d_0.tmp_0", "fp32"), ("conv2d_1.tmp_0", "fp32"))
    fewer, more = (
        replace(APPROVED, candidate=replace(APPROVED.candidate, overrides=kept[:count])) for count in (1, 2)
    )
    alike = with_speed(more, ratio(2.01))
    assert finalist_of(alike, fewer, unseen=2_000) == fewer.candidate.name
    assert finalist_of(with_speed(more, ratio(9.0)), fewer, unseen=2_000) == more.candidate.name


def test_mix_in_bf16_is_no_finalist_unless_it_is_faster_beyond_doubt() -> None:
    in_fp32, in_bf16 = (
        replace(APPROVED, candidate=replace(APPROVED.candidate, overrides=(("conv2d_0.tmp_0", precision),)))
        for precision in ("fp32", "bf16")
    )
    alike = with_speed(in_bf16, ratio(2.01))
    assert finalist_of(alike, in_fp32, unseen=2_000) == in_fp32.candidate.name
    assert finalist_of(with_speed(in_bf16, ratio(9.0)), in_fp32, unseen=2_000) == in_bf16.candidate.name


@pytest.mark.parametrize(
    ("evidence", "by_answers"),
    [(HOPELESS, True), (TOO_SLOW, False), (APPROVED, False)],
    ids=["inaccurate", "slow", "right"],
)
def test_candidate_fails_by_its_answers_when_accuracy_rejects_it(
    evidence: CandidateEvidence, by_answers: bool
) -> None:
    assert fails_by_its_answers(judge(evidence, GATE)) is by_answers
