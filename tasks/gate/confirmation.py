"""The test of what a search found, on samples that the search did not see.

A strategy that learns from verdicts fits its candidates to the samples that it looks at. How many
candidates it could have come to, nobody can count, so no correction for their number is honest. Its search
therefore sees a part of the validation samples, and one candidate is tested on the others. Whatever the
search did, this candidate was fixed before those samples were looked at, so the test errs as rarely as that
of a single candidate.

Source: Dwork et al. 2015, doi:10.1126/science.aaa9375, who also show how to ask a hold-out set several
questions, with noise added to each answer; for one question the noise is a cost without a gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import Correction, MetricEvidence
from paddle_int8.tasks.contracts.verdict import Judged, Verdict
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.gate.choice import choose, fastest
from paddle_int8.tasks.gate.criteria import SAMPLE_FREE, finite_outputs, gated, worst_class
from paddle_int8.tasks.gate.criterion import stated
from paddle_int8.tasks.gate.looks import allowed_error
from paddle_int8.tasks.gate.signal import every_output, signal
from paddle_int8.tasks.validation.statistics import samples_needed

CONFIRMATION = "confirmation"
BY_ANSWERS = ("accuracy", "signal", "worst class")
"""The beginnings of the criteria that wrong answers fail."""
OF_ANSWERS = (finite_outputs, signal, every_output, worst_class)
"""Criteria beside accuracy that the candidate's answers decide."""


def finalist(judged: Sequence[Judged], gate: GateConfig, unseen: int) -> Judged | None:
    """The candidate of a search that is to be tested on `unseen` other samples.

    It is the fastest that passes if its rates stay as they are on so many samples; when none does, the one
    that `choose` prefers. When one keeps the operators of another out of INT8 and more of them, or the same
    in BF16, the other is taken, unless the first is faster beyond doubt. Returns None when there are no
    candidates.
    """
    promising = [each for each in judged if _promises(each, gate, unseen)]
    needed = [each for each in promising if not any(_is_enough(other, each) for other in promising)]
    return fastest(needed) or choose(judged)


def unconfirmed(verdict: Verdict) -> Verdict:
    """The verdict on a candidate of a search that was not the finalist: it is not approved."""
    result = stated(
        CONFIRMATION,
        None,
        Outcome.INCONCLUSIVE,
        found="compared on the samples of the search alone",
        required="a test on samples that the search did not see",
        remedy="nothing is wrong: one candidate of a search is tested; to have this one, release it "
        "alone, on new validation data",
    )
    rejected = verdict.outcome is Outcome.REJECTED
    return replace(
        verdict,
        outcome=Outcome.REJECTED if rejected else Outcome.INCONCLUSIVE,
        results=(*verdict.results, result),
    )


def _is_enough(fewer: Judged, more: Judged) -> bool:
    """Whether `more` keeps more than `fewer`, and is not faster beyond doubt.

    It keeps more when it keeps all operators of `fewer` and others, or the same ones in BF16.
    """
    ours, theirs = fewer.candidate, more.candidate
    if (ours.algorithm, ours.layout) != (theirs.algorithm, theirs.layout):
        return False
    kept, kept_by_more = ({tensor for tensor, _ in each.overrides} for each in (ours, theirs))
    simpler = kept < kept_by_more or (kept == kept_by_more and theirs.in_bf16 and not ours.in_bf16)
    speed, speed_of_more = (each.evidence.per_isa[0].latency.speedup for each in (fewer, more))
    return simpler and not speed_of_more.low > speed.high


def is_right(judged: Judged, gate: GateConfig, unseen: int) -> bool:
    """Whether the candidate's answers pass on `unseen` samples, if its rates stay as they are.

    What the FP32 baseline fails by itself is left aside: no candidate can help it.
    """
    results = (result for criterion in OF_ANSWERS for result in criterion(judged.evidence, gate))
    return all(each.outcome is Outcome.APPROVED for each in results) and _is_accurate(judged, gate, unseen)


def is_usable(judged: Judged, gate: GateConfig) -> bool:
    """Whether no criterion rejects the candidate that does not depend on which samples were drawn."""
    results = (result for criterion in SAMPLE_FREE for result in criterion(judged.evidence, gate))
    return all(each.outcome is not Outcome.REJECTED for each in results)


def _promises(judged: Judged, gate: GateConfig, unseen: int) -> bool:
    """Whether the candidate passes all criteria but accuracy, and accuracy too on `unseen` samples."""
    others = [
        result.outcome is Outcome.APPROVED
        for result in judged.verdict.results
        if not result.criterion.startswith("accuracy")
    ]
    return all(others) and _is_accurate(judged, gate, unseen)


def fails_by_its_answers(verdict: Verdict) -> bool:
    """Whether accuracy or signal is among what rejects the candidate."""
    return any(
        each.outcome is Outcome.REJECTED and each.criterion.startswith(BY_ANSWERS) for each in verdict.results
    )


def _is_accurate(judged: Judged, gate: GateConfig, unseen: int) -> bool:
    needed = [
        samples_needed(_as_confirmed(metric, gate), margin_pp=gate.max_drop_pp)
        for item in judged.evidence.per_isa
        for metric in gated(item, gate)
    ]
    return bool(needed) and all(each and each <= unseen for each in needed)


def _as_confirmed(metric: MetricEvidence, gate: GateConfig) -> MetricEvidence:
    """The metric with the confidence of the test on unseen samples, where several tests share the error."""
    if (error := allowed_error(gate)) >= 1 - gate.confidence:
        return metric
    paid = Correction(candidates=1, confidence=1 - error, alone_upper_pp=metric.drop_upper_pp)
    return replace(metric, correction=paid)
