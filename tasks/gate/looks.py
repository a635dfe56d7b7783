"""The verdicts on all candidates of a release together, so that its confidence holds whichever is taken.

Each candidate whose accuracy is measured is one more look at the same samples, and one more chance that a
wrong candidate passes by luck. What has to keep `gate.confidence` is therefore the release: the chance that
it approves any candidate whose true drop exceeds the margin is at most 1 - confidence, whatever the number
of candidates. For that the upper bounds of their drops are widened (`tasks.validation.simultaneous`), by
nothing when there is one candidate. Several metrics and instruction sets of one candidate cost nothing,
since all of them must pass.

A candidate that fails a criterion which does not depend on the drawn samples is not counted: one that is
too slow, for example, is never taken, however lucky its samples are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import (
    CandidateEvidence,
    Correction,
    IsaEvidence,
    MetricEvidence,
)
from paddle_int8.tasks.contracts.verdict import EarlierLooks, Looks, Verdict
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.gate.criteria import SAMPLE_FREE, gated, judge
from paddle_int8.tasks.validation.simultaneous import correlation, joint_deviates, step_down
from paddle_int8.tasks.validation.statistics import (
    DRAWS,
    graded_drop_bounds,
    paired_drop_bounds,
)

Array = NDArray[np.float64]
Scores = Mapping[str, Array]
"""Scores of every sample, [N] by column: `baseline/<metric>` and `candidate/<metric>`."""

TAIL_DRAWS, MOST_DRAWS = 100, 200_000
"""The bound of graded scores is a quantile of draws: at least so many of them lie beyond it."""


def allowed_error(gate: GateConfig) -> float:
    """The chance with which one release may approve a wrong candidate."""
    return (1 - gate.confidence) / gate.releases


def shared(gate: GateConfig, tests: int = 2) -> GateConfig:
    """The gate of each of `tests` tests of one release, which share the error that it allows."""
    return gate.model_copy(update={"releases": tests * gate.releases})


def could_be_chosen(evidence: CandidateEvidence, gate: GateConfig) -> bool:
    """Whether the candidate passes all criteria that do not depend on which samples were drawn."""
    results = (result for criterion in SAMPLE_FREE for result in criterion(evidence, gate))
    return all(result.outcome is Outcome.APPROVED for result in results)


def stored_scores(item: IsaEvidence) -> Scores | None:
    """The scores that `validate` stored; None when their file is gone."""
    if not item.outcomes.is_file():
        return None
    with np.load(item.outcomes) as columns:
        scores = (name for name in columns.files if name.startswith(("baseline/", "candidate/")))
        return {name: columns[name].astype(np.float64) for name in scores}


def judge_together(
    evidence: Sequence[CandidateEvidence],
    gate: GateConfig,
    read: Callable[[IsaEvidence], Scores | None] = stored_scores,
) -> tuple[tuple[CandidateEvidence, Verdict], ...]:
    """The evidence of each candidate with corrected bounds, and the verdict on it.

    All candidates must have been chosen without a look at these samples. Where the scores of the samples are
    gone, a candidate counts as independent of all others, which costs most.
    """
    tests = [list(_tests(item, gate, read)) if could_be_chosen(item, gate) else [] for item in evidence]
    flat = [test for group in tests for test in group]
    ends = np.cumsum([len(group) for group in tests]).tolist()
    groups = [range(end - len(group), end) for end, group in zip(ends, tests, strict=True)]
    deviates = joint_deviates(correlation([test.differences for test in flat], [test.worst for test in flat]))
    errors = step_down(
        deviates,
        groups,
        lambda place, error: all(test.passes(gate.max_drop_pp, error) for test in tests[place]),
        error=allowed_error(gate),
    )
    looks = sum(map(bool, tests))
    corrected = (
        _corrected(item, group, looks, error, gate)
        for item, group, error in zip(evidence, tests, errors, strict=True)
    )
    return tuple((item, judge(item, gate)) for item in corrected)


def looks_at(evidence: Sequence[CandidateEvidence], gate: GateConfig, earlier: EarlierLooks) -> Looks:
    """How often the samples of `evidence` were looked at, when all candidates were judged together."""
    return Looks(
        candidates=sum(could_be_chosen(item, gate) for item in evidence),
        error=allowed_error(gate),
        planned=gate.releases,
        earlier=earlier,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """The test of one metric of a candidate on one instruction set or Paddle, by its places there."""

    isa: int
    metric: int
    evidence: MetricEvidence
    baseline: Array | None
    candidate: Array | None

    @property
    def differences(self) -> Array | None:
        if self.baseline is None or self.candidate is None:
            return None
        return self.baseline - self.candidate

    @property
    def worst(self) -> float:
        """The difference of an unseen sample, as in the bound of one candidate."""
        if self.evidence.lost is not None or self.baseline is None or self.candidate is None:
            return 1.0
        both = np.concatenate([self.baseline, self.candidate])
        return max(1.0, float(np.ptp(both)))

    def passes(self, margin_pp: float, error: float) -> bool:
        """Whether the bound that errs with `error` is within the margin. At the usual error it is lower."""
        return self.evidence.drop_upper_pp <= margin_pp and self.upper_pp(error) <= margin_pp

    def upper_pp(self, error: float) -> float:
        found, confidence = self.evidence, 1 - error
        if found.lost is not None and found.gained is not None:
            return paired_drop_bounds(found.lost, found.gained, found.samples, confidence=confidence)[1]
        if self.baseline is None or self.candidate is None:
            return float("inf")
        draws = min(MOST_DRAWS, max(DRAWS, round(TAIL_DRAWS / error)))
        return graded_drop_bounds(self.baseline, self.candidate, confidence=confidence, draws=draws)[1]


def _tests(
    evidence: CandidateEvidence, gate: GateConfig, read: Callable[[IsaEvidence], Scores | None]
) -> Iterator[_Test]:
    for isa, item in enumerate(evidence.everywhere):
        scores = read(item) or {}
        wanted = gated(item, gate)
        for place, metric in enumerate(item.metrics):
            if metric in wanted:
                yield _Test(
                    isa=isa,
                    metric=place,
                    evidence=metric,
                    baseline=scores.get(f"baseline/{metric.name}"),
                    candidate=scores.get(f"candidate/{metric.name}"),
                )


def _corrected(
    evidence: CandidateEvidence, tests: Sequence[_Test], looks: int, error: float, gate: GateConfig
) -> CandidateEvidence:
    """The evidence with each tested bound at `error`. With the error of one candidate, it stays as it is."""
    if error >= 1 - gate.confidence:
        return evidence
    measured = list(evidence.everywhere)
    for test in tests:
        paid = Correction(candidates=looks, confidence=1 - error, alone_upper_pp=test.evidence.drop_upper_pp)
        metrics = list(measured[test.isa].metrics)
        metrics[test.metric] = replace(
            test.evidence, drop_upper_pp=max(paid.alone_upper_pp, test.upper_pp(error)), correction=paid
        )
        measured[test.isa] = replace(measured[test.isa], metrics=tuple(metrics))
    return evidence.measured_as(measured)
