"""Agreement proves nothing where FP32 gives nearly always the same answer, and the gate says so."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, JudgedOutput, OutputEvidence
from paddle_int8.tasks.contracts.verdict import CriterionResult
from paddle_int8.tasks.contracts.vocabulary import Outcome, OutputKind
from paddle_int8.tasks.data.metrics.agreement import decision_counts
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.validation.comparison import Comparison
from tests.unit.evidence_factory import counted, good_evidence, spoil

CRITERION = "baseline agreement"
CLASSES = JudgedOutput(name="scores", kind=OutputKind.CLASSES, why="")
SECOND = dataclasses.replace(CLASSES, name="second")


def compared(answers: list[list[int]], *outputs: JudgedOutput) -> Comparison:
    """FP32's classes of each output, and INT8 that agrees with all of them."""
    comparison = Comparison(
        metrics={"agreement": lambda ours, labels, theirs: np.ones(len(theirs[0]))}, outputs=outputs
    )
    whole = [np.eye(4, dtype=np.float32)[column] for column in answers]
    for start in range(0, len(answers[0]), 7):
        batch = [values[start : start + 7] for values in whole]
        comparison.add(batch, batch, None)
    return comparison


def evidence(*answers: list[int]) -> CandidateEvidence:
    found = compared([*answers], *(CLASSES, SECOND)[: len(answers)]).found
    agreed = counted("agreement", lost=0, gained=0, baseline=1.0)
    return spoil(good_evidence(), outputs=found, metrics=(agreed,))


def results(found: CandidateEvidence, gate: GateConfig) -> list[CriterionResult]:
    return [result for result in judge(found, gate).results if result.criterion == CRITERION]


@pytest.mark.parametrize(
    ("others", "outcome"),
    [(0, Outcome.INCONCLUSIVE), (10, Outcome.INCONCLUSIVE), (11, Outcome.APPROVED), (500, Outcome.APPROVED)],
    ids=["one class alone", "as many others as the margin", "one more", "half"],
)
def test_agreement_of_one_answer_proves_nothing_within_the_margin(others: int, outcome: Outcome) -> None:
    found = evidence([1] * (1000 - others) + [2] * others)
    (result,) = results(found, GateConfig(max_drop_pp=1.0))
    assert result.outcome is outcome
    assert judge(found, GateConfig(max_drop_pp=1.0)).outcome is outcome
    assert f"{(1000 - others) / 10:.2f} % of scores" in result.found


def test_agreement_of_one_answer_in_any_output_proves_nothing() -> None:
    varied = [0, 1, 2, 3] * 25
    (result,) = results(evidence(varied, [2] * 100), GateConfig())
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "100.00 % of second" in result.found
    assert "scores" not in result.found


def test_one_answer_matters_only_where_agreement_is_gated() -> None:
    found = evidence([1] * 100)
    labelled = spoil(found, metrics=(*found.per_isa[0].metrics, counted("top1", lost=0, gained=0)))
    assert results(labelled, GateConfig())
    assert not results(labelled, GateConfig(metric="top1"))


@pytest.mark.parametrize(
    ("kind", "values", "counts"),
    [
        (OutputKind.CLASSES, [[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], {1: 2, 0: 1}),
        (OutputKind.FLAGS, [[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], {1: 3, 0: 3}),
        (OutputKind.DECISIONS, [[7], [7], [-2]], {7: 2, -2: 1}),
    ],
    ids=str,
)
def test_decisions_are_counted_by_kind(kind: OutputKind, values: list[Any], counts: dict[int, int]) -> None:
    output = dataclasses.replace(CLASSES, kind=kind, threshold=0.5)
    found = decision_counts(
        np.array(values, dtype=None if kind is OutputKind.DECISIONS else np.float32), output
    )
    assert found == counts


def test_decisions_beyond_a_sequence_do_not_count() -> None:
    steps = dataclasses.replace(CLASSES, kind=OutputKind.STEPS, axis=2, sequence=True)
    scores = np.eye(3, dtype=np.float32)[np.array([[1, 0, 0, 0], [1, 1, 2, 0]])]
    assert decision_counts(scores, steps, np.array([1, 3])) == {1: 3, 2: 1}


def test_output_without_decisions_has_no_commonest() -> None:
    embedding = dataclasses.replace(CLASSES, kind=OutputKind.EMBEDDING)
    (found,) = compared([[1] * 20], embedding).found
    assert isinstance(found, OutputEvidence)
    assert found.commonest is None
