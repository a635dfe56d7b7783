import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, FailedCandidate
from paddle_int8.tasks.contracts.verdict import Judged
from paddle_int8.tasks.gate.choice import choose
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.strategies.grid import GridSearch
from tests.release_factory import build_artifacts
from tests.unit.evidence_factory import SKYLAKE, VNNI, counted, good_evidence, ratio, spoil, with_speed

FAST_WRONG = spoil(good_evidence("KL-qdq", speedup=4.0), metrics=(counted(lost=500, gained=0),))
FAST_UNSURE = spoil(good_evidence("avg-qdq", speedup=3.5), metrics=(counted(lost=0, gained=0, samples=50),))
RIGHT = good_evidence("hist-offline", speedup=2.0)
RIGHT_FASTER = good_evidence("hist-qdq", speedup=2.4)


def chosen(evidence: Sequence[CandidateEvidence]) -> str | None:
    found = choose([judged(item) for item in evidence])
    return found.candidate.name if found else None


def judged(evidence: CandidateEvidence) -> Judged:
    with tempfile.TemporaryDirectory() as folder:
        quantized, deployable = build_artifacts(Path(folder), evidence.candidate)
    return Judged(
        quantized=quantized,
        deployable=deployable,
        evidence=evidence,
        verdict=judge(evidence, GateConfig()),
    )


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
        pytest.param((FAST_WRONG, FAST_UNSURE, RIGHT, RIGHT_FASTER), "hist-qdq", id="fastest that is right"),
        pytest.param((FAST_WRONG, FAST_UNSURE), "avg-qdq", id="inconclusive before rejected"),
        pytest.param((FAST_WRONG,), "KL-qdq", id="rejected when there is nothing else"),
        pytest.param((), None, id="nothing measured"),
    ],
)
def test_choice_in_any_order_is_the_same(evidence: tuple[CandidateEvidence, ...], name: str | None) -> None:
    assert {chosen(order) for order in permutations(evidence)} == {name}


def test_choice_goes_by_the_lower_bound_not_the_estimate() -> None:
    sure = with_speed(good_evidence("hist-offline"), ratio(2.0, 2.1))
    wide = with_speed(good_evidence("hist-qdq"), ratio(1.9, 4.0))
    assert chosen((wide, sure)) == "hist-offline"


def test_choice_goes_by_the_native_speed() -> None:
    native_fast = good_evidence("hist-offline", isas=(VNNI, SKYLAKE), speedup=2.0)
    emulated_fast = with_speed(
        good_evidence("hist-qdq", isas=(VNNI, SKYLAKE), speedup=1.8), ratio(5.0), place=1
    )
    assert chosen((emulated_fast, native_fast)) == "hist-offline"


def test_choice_among_rejected_takes_the_one_with_fewer_failures() -> None:
    twice = spoil(FAST_WRONG, non_finite_outputs=1)
    once = spoil(good_evidence("mse-qdq", speedup=1.6), metrics=(counted(lost=500, gained=0),))
    assert chosen((twice, once)) == "mse-qdq"


def test_choice_equal_candidates_are_decided_by_name() -> None:
    pair = (good_evidence("mse-offline"), good_evidence("avg-offline"))
    assert {chosen(order) for order in permutations(pair)} == {"avg-offline"}


def test_choice_speed_that_is_not_a_number_is_last() -> None:
    broken = with_speed(FAST_UNSURE, ratio(float("nan"), 9.0))
    slow = spoil(good_evidence("hist-qdq", speedup=1.6), metrics=(counted(lost=0, gained=0, samples=50),))
    found = choose((judged(broken), judged(slow)))
    assert found is not None
    assert found.evidence is slow


def test_choice_verdict_of_another_candidate_is_refused() -> None:
    mixed = replace(judged(RIGHT), verdict=judge(RIGHT_FASTER, GateConfig()))
    with pytest.raises(ValueError, match="different digests"):
        choose((judged(RIGHT_FASTER), mixed))


def test_grid_strategy_asks_for_each_candidate_once() -> None:
    grid = tuple(Candidate(algorithm="hist", layout=layout) for layout in ("offline", "qdq"))
    search = GridSearch(grid)
    assert search.next_candidates(()) == grid
    failed = FailedCandidate(candidate=grid[1], step="quantize", error="")
    assert search.next_candidates((failed,)) == grid[:1]
    assert search.next_candidates((judged(good_evidence("hist-offline")), failed)) == ()
