"""The verdict on a candidate: a pure function of evidence and criteria.

The gate denies by default: a value that was not measured, is not a number, or was measured with less
confidence than required is inconclusive at best. No value is rounded before it is compared. A new
criterion is one function in `CRITERIA`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.evidence import (
    CandidateEvidence,
    IsaEvidence,
    MetricEvidence,
    RuntimeEvidence,
)
from paddle_int8.tasks.contracts.verdict import CriterionResult, Verdict
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome
from paddle_int8.tasks.contracts.wording import counted, points
from paddle_int8.tasks.data.metrics.agreement import AGREEMENT
from paddle_int8.tasks.gate.criterion import Criterion, stated
from paddle_int8.tasks.gate.proof import proof
from paddle_int8.tasks.gate.signal import every_output, signal
from paddle_int8.tasks.gate.speed import native_speed, speed
from paddle_int8.tasks.validation.statistics import fewest_samples, samples_needed

TOP1 = "top1"
BASELINE_MARGINS, BASELINE_ENOUGH_PP = 10, 50.0
"""The FP32 baseline must be right on this many times the margin, or on this percentage of the samples.

Example: with a margin of 1 point, FP32 must be right on at least 10 % of the samples. A baseline that is
right on fewer samples than the candidate may lose cannot fail the accuracy test, so passing it would prove
nothing. Labels that are shifted by one class look like that. The rule holds for 0/1 outcomes only.
"""


def judge(evidence: CandidateEvidence, gate: GateConfig) -> Verdict:
    """The verdict is approved when every criterion is, rejected when at least one is, else inconclusive.

    What was measured with another Paddle must meet the same criteria.
    """
    results = tuple(result for criterion in CRITERIA for result in criterion(evidence, gate))
    results += tuple(result for each in evidence.runtimes for result in _with_runtime(evidence, each, gate))
    outcomes = {result.outcome for result in results}
    if Outcome.REJECTED in outcomes:
        outcome = Outcome.REJECTED
    else:
        outcome = Outcome.APPROVED if outcomes == {Outcome.APPROVED} else Outcome.INCONCLUSIVE
    return Verdict(outcome=outcome, candidate=evidence.candidate, digest=evidence.digest, results=results)


def _with_runtime(
    evidence: CandidateEvidence, runtime: RuntimeEvidence, gate: GateConfig
) -> Iterator[CriterionResult]:
    """The criteria of another Paddle, each by its name there."""
    yield stated(
        f"runs with Paddle {runtime.paddle}",
        None,
        Outcome.APPROVED if runtime.measured else Outcome.REJECTED,
        found="measured" if runtime.measured else runtime.error,
        required="a model that every version in `validation.runtimes` runs",
        remedy=f"serve it with another Paddle, and take {runtime.paddle} out of `validation.runtimes`",
    )
    if runtime.measured is None:
        return
    alone = replace(evidence, per_isa=(runtime.measured,), runtimes=())
    for criterion in CRITERIA:
        if criterion in (identity, native_measurement, size):
            continue
        for result in criterion(alone, gate):
            yield replace(result, criterion=f"{result.criterion} with Paddle {runtime.paddle}")


def identity(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """The evidence must name the digests of candidate, baseline and validation data."""
    named = {
        "candidate": evidence.digest,
        "baseline": evidence.baseline_digest,
        "validation data": evidence.validation_digest,
    }
    missing = [name for name, digest in named.items() if not digest.strip()]
    yield stated(
        "identity",
        None,
        Outcome.REJECTED if missing else Outcome.APPROVED,
        found=f"no digest of {' and '.join(missing)}" if missing else f"candidate {evidence.digest[:12]}",
        required="the content digest of candidate, baseline and validation data",
        remedy="measure again: a verdict counts only for the bytes that were measured",
    )


def native_measurement(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """At least one instruction set must be measured without emulation.

    Emulation shows how an older server's instruction set behaves, but not its caches and clock rates.
    """
    native = [item.isa for item in evidence.per_isa if not item.emulated]
    yield stated(
        "native measurement",
        None,
        Outcome.APPROVED if native else Outcome.INCONCLUSIVE,
        found=f"measured on {', '.join(native)}"
        if native
        else "nothing measured on a native instruction set",
        required="evidence of at least one instruction set that is not emulated",
        remedy="measure on the host's own instruction set",
    )


def accuracy(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """Every gated metric must be non-inferior: the upper bound of its drop must be within the margin."""
    for item in evidence.per_isa:
        metrics = gated(item, gate)
        if not metrics:
            yield stated(
                f"accuracy {gate.metric or ''}".strip(),
                item.isa,
                Outcome.INCONCLUSIVE,
                found="not measured",
                required=_margin(gate),
                remedy="measure the metric that the gate names in `gate.metric`",
            )
        for metric in metrics:
            yield _accuracy_of(metric, item.isa, gate)


def required_of_baseline_pp(gate: GateConfig) -> float:
    """The percentage of samples on which FP32 must be right."""
    return min(BASELINE_MARGINS * gate.max_drop_pp, BASELINE_ENOUGH_PP)


def baseline_quality(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """The FP32 model must be right often enough for a drop to be possible at all (0/1 outcomes only).

    Top-1 is checked even when another metric is gated, because top-5 can hide wrong labels: with ten
    classes, a third of the labels of a shifted list is still among the top five.
    """
    required_pp = required_of_baseline_pp(gate)
    for item in evidence.per_isa:
        wanted = gated(item, gate)
        for metric in item.metrics:
            if metric.lost is None or (metric not in wanted and metric.name != TOP1):
                continue
            if metric.name == AGREEMENT:  # FP32 always agrees with itself
                continue
            yield stated(
                f"baseline {metric.title}",
                item.isa,
                Outcome.APPROVED if 100 * metric.baseline >= required_pp else Outcome.INCONCLUSIVE,
                found=f"FP32 itself is right on {100 * metric.baseline:.2f} % of the samples",
                required=f"at least {required_pp:g} %, for a margin of {points(f'{gate.max_drop_pp:g}')}",
                remedy="check that labels, their order and the preprocessing are those of training; "
                "if they are, lower `gate.max_drop_pp`",
            )


def baseline_answers(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """Where agreement judges decisions, those of FP32 must differ: always giving the commonest must fail.

    Example: FP32 decides class 3 for 995 of 1,000 samples, and the margin is 1 point. A model that answers
    class 3 to everything agrees with FP32 on 99.5 % of them, so agreement would prove nothing.
    """
    most = 1 - gate.max_drop_pp / 100
    for item in evidence.per_isa:
        if AGREEMENT not in {metric.name for metric in gated(item, gate)}:
            continue
        shares = {
            output.name: output.commonest
            for output in item.outputs
            if AGREEMENT in output.judged_by and output.commonest is not None
        }
        if not shares:
            continue
        alike = {name: share for name, share in shares.items() if not share < most}
        told = ", ".join(f"{100 * share:.2f} % of {name}" for name, share in (alike or shares).items())
        yield stated(
            f"baseline {AGREEMENT}",
            item.isa,
            Outcome.INCONCLUSIVE if alike else Outcome.APPROVED,
            found=f"FP32's commonest decision is {told}",
            required=f"less than {100 * most:g} % of each output, so that a model which always decides so "
            f"fails the margin of {points(f'{gate.max_drop_pp:g}')}",
            remedy="validate on samples of more classes, check `data.preprocessing`, judge it by a callable "
            "in `validation.metrics`, or set it to `ignore` in `validation.outputs` when nobody reads it",
        )


def finite_outputs(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """Neither the candidate nor the baseline may answer with NaN or Inf."""
    for item in evidence.per_isa:
        bad, baseline = item.non_finite_outputs, item.baseline_non_finite_outputs
        found = f"{bad} NaN or Inf values from the candidate, {baseline} from FP32"
        remedy = "calibrate on samples like those that serve, or with another algorithm"
        if baseline:
            remedy = "FP32 itself gives NaN or Inf: correct the model or the validation data first"
        yield stated(
            "finite outputs",
            item.isa,
            Outcome.REJECTED if bad or baseline else Outcome.APPROVED,
            found=found,
            required="none",
            remedy=remedy,
        )


def size(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """The ratio of the sizes on disk, INT8 to FP32, must be low enough, when `gate.max_size_ratio` is set."""
    if gate.max_size_ratio is None:
        return
    known = evidence.size_bytes > 0 and evidence.baseline_size_bytes > 0
    ratio = evidence.size_bytes / evidence.baseline_size_bytes if known else math.nan
    yield _at_most(
        "size",
        None,
        ratio,
        gate.max_size_ratio,
        said=lambda number: f"{number} of FP32",
        remedy="use the qdq layout, which keeps the weights in INT8 on disk",
    )


def latency_p99(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """The candidate's 99th percentile of batch latency must be low enough, when a limit is set."""
    if gate.max_latency_p99_ms is None:
        return
    for item in evidence.per_isa:
        summary = item.latency.summaries.get("candidate")
        yield _at_most(
            "latency p99",
            item.isa,
            summary.p99_ms if summary else math.nan,
            gate.max_latency_p99_ms,
            said=lambda number: f"{number} ms",
            remedy="raise `validation.threads`, lower `validation.batch_size`, or use a faster host",
        )


def worst_class(evidence: CandidateEvidence, gate: GateConfig) -> Iterator[CriterionResult]:
    """The drop of the class that loses most must be small enough, when a limit is set.

    The drop is compared as measured, without a confidence bound: one class has too few samples for one.
    """
    if gate.max_worst_class_drop_pp is None:
        return
    for item in evidence.per_isa:
        worst = item.worst_class
        label = f" (class {worst.label}, {counted(worst.samples, 'sample')})" if worst else ""
        yield _at_most(
            "worst class drop",
            item.isa,
            worst.drop_pp if worst else math.nan,
            gate.max_worst_class_drop_pp,
            said=points,
            detail=label,
            remedy="give this class more calibration samples, or calibrate with another algorithm",
        )


CRITERIA: tuple[Criterion, ...] = (
    identity,
    native_measurement,
    accuracy,
    baseline_quality,
    baseline_answers,
    speed,
    native_speed,
    proof,
    finite_outputs,
    signal,
    every_output,
    size,
    latency_p99,
    worst_class,
)


SAMPLE_FREE: tuple[Criterion, ...] = (
    identity,
    native_measurement,
    speed,
    native_speed,
    proof,
    size,
    latency_p99,
)
"""Criteria whose outcome does not depend on which samples were drawn for the validation."""


def _accuracy_of(metric: MetricEvidence, isa: IsaLevel, gate: GateConfig) -> CriterionResult:
    low, high = metric.drop_lower_pp, metric.drop_upper_pp
    remedy = (
        "calibrate with another algorithm or more samples, or keep the worst layers in FP32, which "
        "`quantization.strategy: mixed` finds"
    )
    outcome = Outcome.INCONCLUSIVE
    if not _finite(metric.baseline, metric.candidate, metric.drop_pp, low, high) or metric.samples < 1:
        remedy = "measure the metric again: the evidence has no number"
    elif metric.confidence < gate.confidence:
        remedy = f"measure with {100 * gate.confidence:g} % confidence"
    elif high <= gate.max_drop_pp:
        outcome = Outcome.APPROVED
    elif low > gate.max_drop_pp:
        outcome = Outcome.REJECTED
    else:
        remedy = _decided_by(metric, gate, remedy)
    return stated(
        f"accuracy {metric.title}",
        isa,
        outcome,
        found=_drop_found(metric),
        required=_margin(gate),
        remedy=remedy,
    )


def _decided_by(metric: MetricEvidence, gate: GateConfig, otherwise: str) -> str:
    """What would decide a drop whose bounds enclose the margin. `otherwise` is what could lower the drop."""
    fewest = fewest_samples(gate.max_drop_pp, confidence=metric.upper_confidence)
    if (needed := samples_needed(metric, margin_pp=gate.max_drop_pp)) is not None:
        remedy = f"validate on about {needed:,} samples, or widen `gate.max_drop_pp`"
    elif metric.samples < fewest:
        remedy = f"validate on at least {fewest:,} samples: with fewer, even no loss at all proves nothing"
    else:
        remedy = f"the drop itself is not below the margin: more samples alone will not help; {otherwise}"
    if metric.correction and metric.correction.alone_upper_pp <= gate.max_drop_pp:
        remedy += (
            ". As the only candidate it would pass, but to leave the others out now, on the same samples, "
            "proves nothing: they have been looked at"
        )
    return remedy


def _drop_found(metric: MetricEvidence) -> str:
    """The drop with its bounds in words, and what the correction for several candidates adds to them."""
    low, high, surely = metric.drop_lower_pp, metric.drop_upper_pp, f"{100 * metric.confidence:g} %"
    start, end = f"drop of {metric.drop_pp:.3f} points", f"on {metric.samples:,} samples"
    if (paid := metric.correction) is None:
        return f"{start}, between {low:.3f} and {high:.3f} with {surely} confidence in each bound, {end}"
    among = f"; for one candidate of {paid.candidates}" if paid.candidates > 1 else ""
    return (
        f"{start}, at least {low:.3f} with {surely} confidence and at most {high:.3f} with "
        f"{100 * paid.confidence:.4g} % ({paid.alone_upper_pp:.3f} with {surely}{among}), {end}"
    )


def gated(item: IsaEvidence, gate: GateConfig) -> tuple[MetricEvidence, ...]:
    """The metrics that must pass: the one that `gate.metric` names, or all."""
    return tuple(metric for metric in item.metrics if gate.metric in (None, metric.name))


def _margin(gate: GateConfig) -> str:
    return f"a drop of at most {points(f'{gate.max_drop_pp:g}')} with {100 * gate.confidence:g} % confidence"


def _at_most(
    criterion: str,
    isa: IsaLevel | None,
    value: float,
    limit: float,
    *,
    said: Callable[[str], str],
    remedy: str,
    detail: str = "",
) -> CriterionResult:
    if not _finite(value):
        outcome, found, remedy = Outcome.INCONCLUSIVE, "not measured", f"measure it, or drop {criterion}"
    else:
        outcome = Outcome.APPROVED if value <= limit else Outcome.REJECTED
        found = f"{said(f'{value:.3f}')}{detail}"
    required = f"at most {said(f'{limit:g}')}"
    return stated(criterion, isa, outcome, found=found, required=required, remedy=remedy)


def _finite(*values: float) -> bool:
    return all(math.isfinite(value) for value in values)
