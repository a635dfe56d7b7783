"""The candidate of a search that is tested on samples which the search did not see."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import Judged
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.gate.confirmation import CONFIRMATION, finalist, unconfirmed
from paddle_int8.tasks.gate.criteria import judge
from tests.release_factory import build_artifacts
from tests.unit.evidence_factory import counted, good_evidence, ratio, spoil, with_speed

GATE = GateConfig()
HOPELESS = spoil(good_evidence("KL-qdq", speedup=4.0), metrics=(counted(lost=20, gained=0, samples=600),))
PROMISING = spoil(good_evidence("avg-qdq", speedup=3.0), metrics=(counted(lost=2, gained=0, samples=600),))
APPROVED = spoil(good_evidence("hist-qdq", speedup=2.0), metrics=(counted(lost=0, gained=0, samples=600),))
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
