"""The verdicts on several candidates together: what each pays for the others, and what is not paid for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, IsaEvidence, RuntimeEvidence
from paddle_int8.tasks.contracts.verdict import EarlierLooks, Looks, Verdict
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.gate.looks import could_be_chosen, judge_together
from paddle_int8.tasks.tracking.summary import correction_sentence, looks_sentences
from paddle_int8.tasks.validation.simultaneous import correlation, joint_deviates, joint_error
from paddle_int8.tasks.validation.statistics import metric_evidence, paired_drop_bounds
from tests.unit.evidence_factory import SKYLAKE, VNNI, good_evidence, ratio, spoil, with_speed

Array = NDArray[np.float64]
SAMPLES = 1000
GATE = GateConfig()
NAMES = tuple(f"a{place}-qdq" for place in range(6))
ERROR = 0.05


def outcomes(lost: Sequence[int], samples: int = SAMPLES) -> tuple[Array, Array]:
    """Scores of a baseline that is always right, and of a candidate that loses these samples."""
    candidate = np.ones(samples)
    candidate[list(lost)] = 0
    return np.ones(samples), candidate


class Measured:
    """Candidates with their scores, as `judge_together` reads them."""

    def __init__(self) -> None:
        self._scores: dict[str, dict[str, Array]] = {}

    def add(self, name: str, *scores: tuple[Array, Array], gate: GateConfig = GATE) -> CandidateEvidence:
        """The evidence of a candidate with the metrics m0, m1 and so on."""
        evidence = good_evidence(name)
        metrics = tuple(
            metric_evidence(f"m{place}", *pair, confidence=gate.confidence)
            for place, pair in enumerate(scores)
        )
        self._scores[name] = {
            f"{subject}/m{place}": values
            for place, pair in enumerate(scores)
            for subject, values in zip(("baseline", "candidate"), pair, strict=True)
        }
        log = evidence.per_isa[0].log.with_name(name)
        return spoil(evidence, metrics=metrics, log=log)

    def read(self, item: IsaEvidence) -> dict[str, Array] | None:
        return self._scores.get(item.log.name)


def verdicts(
    evidence: Sequence[CandidateEvidence],
    read: Callable[[IsaEvidence], dict[str, Array] | None],
    gate: GateConfig = GATE,
) -> list[Verdict]:
    return [verdict for _, verdict in judge_together(evidence, gate, read)]


def errors_of(
    evidence: Sequence[CandidateEvidence], measured: Measured, gate: GateConfig = GATE
) -> list[float]:
    """With which error each candidate's bound holds after the correction."""
    found = judge_together(evidence, gate, measured.read)
    return [1 - item.per_isa[0].metrics[0].upper_confidence for item, _ in found]


def test_one_candidate_is_judged_as_if_nothing_was_corrected() -> None:
    measured = Measured()
    evidence = measured.add(NAMES[0], outcomes(range(3)))
    ((after, verdict),) = judge_together([evidence], GATE, measured.read)
    assert after == evidence
    assert verdict == judge(evidence, GATE)


def test_equal_candidates_are_one_look() -> None:
    measured = Measured()
    evidence = [measured.add(name, outcomes(range(4))) for name in NAMES]
    assert errors_of(evidence, measured) == pytest.approx([ERROR] * 6, rel=1e-3)


def test_299_equal_answers_are_approved_for_six_candidates_as_for_one() -> None:
    measured = Measured()
    evidence = [measured.add(name, outcomes((), 299)) for name in NAMES]
    assert {each.outcome for each in verdicts(evidence, measured.read)} == {Outcome.APPROVED}


def test_candidates_that_lose_different_samples_pay_nearly_what_bonferroni_asks() -> None:
    measured = Measured()
    evidence = [
        measured.add(name, outcomes(range(20 * place, 20 * place + 20))) for place, name in enumerate(NAMES)
    ]
    for error in errors_of(evidence, measured):
        assert ERROR / 6 <= error <= 1.15 * ERROR / 6


def test_correlated_candidates_pay_less_than_independent_ones() -> None:
    paid = []
    for step in (0, 2, 10, 20):  # how many of their 20 lost samples each two neighbours do not share
        measured = Measured()
        evidence = [
            measured.add(name, outcomes(range(step * place, step * place + 20)))
            for place, name in enumerate(NAMES)
        ]
        paid.append(errors_of(evidence, measured)[0])
    assert paid == sorted(paid, reverse=True)
    assert paid[0] > 2 * paid[-1]


def test_candidate_that_is_right_beyond_doubt_costs_the_others_nothing() -> None:
    """At 1,500 samples 8 lost are approved with an error of 5 %, and not with one of 2.5 %."""
    lost = next(n for n in range(30) if paired_drop_bounds(n + 1, 0, 1500, confidence=0.95)[1] > 1)
    assert paired_drop_bounds(lost, 0, 1500, confidence=0.97)[1] > 1
    measured = Measured()
    close = measured.add(NAMES[0], outcomes(range(lost), 1500))
    sure = measured.add(NAMES[1], outcomes((), 1500))
    assert [each.outcome for each in verdicts([close, sure], measured.read)] == [Outcome.APPROVED] * 2
    rival = measured.add(NAMES[2], outcomes(range(200, 200 + lost), 1500))
    assert verdicts([close, rival], measured.read)[0].outcome is Outcome.INCONCLUSIVE


def test_bound_with_and_without_correction_and_the_samples_that_decide_are_said() -> None:
    measured = Measured()
    lost = next(n for n in range(30) if paired_drop_bounds(n + 1, 0, 1500, confidence=0.95)[1] > 1)
    evidence = [
        measured.add(name, outcomes(range(30 * place, 30 * place + lost), 1500))
        for place, name in enumerate(NAMES)
    ]
    (item, verdict), *_ = judge_together(evidence, GATE, measured.read)
    metric = item.per_isa[0].metrics[0]
    assert metric.correction is not None
    assert metric.correction.alone_upper_pp == evidence[0].per_isa[0].metrics[0].drop_upper_pp <= 1
    assert (
        metric.drop_upper_pp == paired_drop_bounds(lost, 0, 1500, confidence=metric.correction.confidence)[1]
    )
    (result,) = [each for each in verdict.results if each.criterion == "accuracy m0"]
    assert result.outcome is Outcome.INCONCLUSIVE
    assert f"({metric.correction.alone_upper_pp:.3f} with 95 %; for one candidate of 6)" in result.found
    assert "proves nothing: they have been looked at" in result.remedy
    needed = int(result.remedy.split("about ")[1].split(" samples")[0].replace(",", ""))
    rate, surely = lost / 1500, metric.correction.confidence
    assert paired_drop_bounds(math.floor(rate * needed), 0, needed, confidence=surely)[1] <= 1
    assert paired_drop_bounds(math.ceil(rate * 1500), 0, 1500, confidence=surely)[1] > 1
    assert (
        f"{metric.correction.alone_upper_pp:.2f} to {metric.drop_upper_pp:.2f} points"
        in correction_sentence(item)
    )


def test_several_metrics_of_one_candidate_cost_nothing() -> None:
    measured = Measured()
    evidence = measured.add(NAMES[0], outcomes(range(3)), outcomes(range(500, 503)))
    ((after, _),) = judge_together([evidence], GATE, measured.read)
    assert after == evidence


def test_second_metric_costs_at_most_what_independent_candidates_pay() -> None:
    """A candidate may fail either metric, so those that overlap least across candidates count."""
    measured = Measured()
    same, own = (
        outcomes(range(20)),
        [outcomes(range(100 + 20 * place, 120 + 20 * place)) for place in range(6)],
    )
    one = [measured.add(name, same) for name in NAMES]
    both = [measured.add(f"b{place}-qdq", same, own[place]) for place in range(6)]
    assert errors_of(one, measured)[0] == pytest.approx(ERROR, rel=1e-3)
    assert ERROR / 6 <= errors_of(both, measured)[0] < 0.3 * ERROR


def test_instruction_sets_with_equal_outcomes_cost_nothing() -> None:
    measured = Measured()
    single = measured.add(NAMES[0], outcomes(range(20)))
    rival = measured.add(NAMES[1], outcomes(range(200, 220)))
    alone = errors_of([single, rival], measured)
    twice = [
        dataclasses.replace(
            item, per_isa=(item.per_isa[0], dataclasses.replace(item.per_isa[0], isa=SKYLAKE))
        )
        for item in (single, rival)
    ]
    assert {each.isa for each in twice[0].per_isa} == {VNNI, SKYLAKE}
    assert errors_of(twice, measured) == pytest.approx(alone, rel=0.05)


def test_candidate_that_is_too_slow_is_no_look() -> None:
    measured = Measured()
    close = measured.add(NAMES[0], outcomes(range(3)))
    slow = with_speed(measured.add(NAMES[1], outcomes(range(500, 520))), ratio(0.5))
    assert not could_be_chosen(slow, GATE)
    (after, _), (_, verdict) = judge_together([close, slow], GATE, measured.read)
    assert after == close
    assert verdict.outcome is Outcome.REJECTED


def test_candidate_whose_scores_are_gone_counts_as_independent() -> None:
    measured = Measured()
    evidence = [measured.add(name, outcomes(range(20))) for name in NAMES]
    for item in judge_together(evidence, GATE, lambda item: None):
        assert 1 - item[0].per_isa[0].metrics[0].upper_confidence == pytest.approx(ERROR / 6, rel=0.15)


def test_rejection_needs_no_correction() -> None:
    measured = Measured()
    evidence = [
        measured.add(name, outcomes(range(30 * place, 30 * place + 18))) for place, name in enumerate(NAMES)
    ]
    assert {judge(item, GATE).outcome for item in evidence} == {Outcome.REJECTED}
    assert {each.outcome for each in verdicts(evidence, measured.read)} == {Outcome.REJECTED}


def test_graded_scores_are_corrected_too() -> None:
    draw = np.random.default_rng(5)
    measured = Measured()
    baseline = np.clip(draw.normal(0.8, 0.1, SAMPLES), 0, 1)
    evidence = [
        measured.add(name, (baseline, np.clip(baseline - draw.normal(0.005, 0.05, SAMPLES), 0, 1)))
        for name in NAMES
    ]
    for before, (after, _) in zip(evidence, judge_together(evidence, GATE, measured.read), strict=True):
        metric = after.per_isa[0].metrics[0]
        assert metric.correction is not None
        assert ERROR / 6 <= 1 - metric.correction.confidence < 0.012
        assert metric.drop_upper_pp > before.per_isa[0].metrics[0].drop_upper_pp


def test_planned_releases_share_the_error_even_of_one_candidate() -> None:
    gate, measured = GateConfig(releases=10), Measured()
    evidence = measured.add(NAMES[0], outcomes(()))
    ((after, verdict),) = judge_together([evidence], gate, measured.read)
    metric = after.per_isa[0].metrics[0]
    assert metric.upper_confidence == pytest.approx(1 - ERROR / 10)
    assert metric.drop_upper_pp == paired_drop_bounds(0, 0, SAMPLES, confidence=metric.upper_confidence)[1]
    assert verdict.outcome is Outcome.APPROVED
    few = measured.add(NAMES[1], outcomes((), 400))
    assert [each.outcome for each in verdicts([few], measured.read, gate)] == [Outcome.INCONCLUSIVE]


def test_no_candidates_have_no_verdicts() -> None:
    assert judge_together([], GATE) == ()


def test_joint_error_of_correlated_normal_deviates_is_that_of_the_field_s_tables() -> None:
    """Two-dimensional equicoordinate quantiles: Dunnett 1955, one-sided, many degrees of freedom, rho 0.5.

    The critical values for 2, 4 and 9 comparisons are 1.916, 2.160 and 2.417 at 5 %.
    """
    from scipy.special import ndtr

    for count, critical in ((2, 1.916), (4, 2.160), (9, 2.417)):
        correlations = np.full((count, count), 0.5) + 0.5 * np.eye(count)
        found = joint_error(joint_deviates(correlations), [[place] for place in range(count)], error=0.05)
        assert found == pytest.approx(float(ndtr(-critical)), rel=0.05)


def test_correlation_is_that_of_the_shared_weights() -> None:
    """The bound gives each sample, and one unseen, an exponential weight; both candidates get the same."""
    first, second = outcomes(range(12), 200), outcomes(range(6, 18), 200)
    differences = [before - after for before, after in (first, second)]
    found = correlation(differences, [1.0, 1.0])[0, 1]
    weights = np.random.default_rng(0).standard_exponential((20_000, 201))
    drops = (
        weights @ np.array([np.append(each, 1.0) for each in differences]).T / weights.sum(axis=1)[:, None]
    )
    assert found == pytest.approx(np.corrcoef(drops.T)[0, 1], abs=0.02)


@pytest.mark.parametrize(
    ("looks", "used_up"),
    [
        pytest.param(Looks(candidates=1, error=0.05), False, id="first"),
        pytest.param(
            Looks(candidates=1, error=0.05, earlier=EarlierLooks(releases=18, candidates=18, error=0.9)),
            False,
            id="nineteenth",
        ),
        pytest.param(
            Looks(candidates=1, error=0.05, earlier=EarlierLooks(releases=19, candidates=19, error=0.95)),
            True,
            id="twentieth",
        ),
        pytest.param(
            Looks(
                candidates=1,
                error=0.005,
                planned=10,
                earlier=EarlierLooks(releases=9, candidates=9, error=0.045),
            ),
            False,
            id="last of ten planned",
        ),
        pytest.param(
            Looks(
                candidates=1,
                error=0.005,
                planned=10,
                earlier=EarlierLooks(releases=10, candidates=10, error=0.05),
            ),
            True,
            id="eleventh of ten planned",
        ),
    ],
)
def test_samples_are_used_up_when_errors_add_up_to_what_was_planned_or_to_one(
    looks: Looks, used_up: bool
) -> None:
    assert looks.used_up is used_up
    assert ("used up" in " ".join(looks_sentences(looks))) is used_up


def test_bound_of_another_paddle_is_widened_as_that_of_the_releases_own() -> None:
    measured = Measured()
    evidence = [measured.add(name, outcomes(range(place))) for place, name in enumerate(NAMES[:3])]
    both = [
        dataclasses.replace(each, runtimes=(RuntimeEvidence(paddle="3.3.1", measured=each.per_isa[0]),))
        for each in evidence
    ]
    for found, _ in judge_together(both, GATE, measured.read):
        (other,) = found.runtimes
        assert other.measured is not None
        assert other.measured.metrics == found.per_isa[0].metrics
        assert other.measured.metrics[0].correction is not None
