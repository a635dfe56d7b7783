"""Explains why INT8 is slow or inaccurate, with a remedy: a pure function of the evidence.

A rule speaks only about an instruction set on which the gate was not satisfied or the published speed-up
was not reached, and only when the measurement shows the rule's cause. Afterwards every criterion that was
not approved is repeated from the verdict, so nothing that failed goes without a word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from paddle_int8.tasks.contracts.artifacts import OperatorCensus
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, Fp32Layer, IsaEvidence
from paddle_int8.tasks.contracts.verdict import CriterionResult, Verdict
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.gate.signal import EVERY_OUTPUT, SIGNAL
from paddle_int8.tasks.hardware.levels import VNNI, published_band
from paddle_int8.tasks.layouts import LAYOUTS

SPEED, ACCURACY = (
    ("speed-up", "INT8 share", "latency p99"),
    (
        "accuracy",
        "worst class",
        "finite outputs",
        SIGNAL,
        EVERY_OUTPUT,
    ),
)
FP32_TIME_SHARE = 0.1
REORDER_TIME_SHARE = 0.15
KERNEL_TIME_SHARE = 0.5
NAMED_GROUPS = 3
BROKEN_SQNR_DB, LOW_SQNR_DB = 3.0, 10.0
"""On real models, sound conversions kept 12 dB or more, conversions that lost accuracy 6 to 7 dB, and
conversions with wrong scales less."""
SATURATION_LOSS_DB = 3.0
CONVERSION_LOSS_DB = 6.0
"""Sound conversions kept at most 5 dB less than the simulation of the same samples."""

Rule = Callable[[IsaEvidence, CandidateEvidence], Iterable[str]]


def explain(
    evidence: CandidateEvidence,
    verdict: Verdict,
    census: OperatorCensus,
    others: Sequence[CandidateEvidence] = (),
) -> tuple[str, ...]:
    """One or two sentences for each cause that was found, those of the native instruction set first.

    others: the release's candidates. One that keeps more signal on an instruction set is recommended for it.
    """
    if verdict.outcome is Outcome.APPROVED:
        return tuple(sentence for item in evidence.per_isa for sentence in _good(item, evidence))
    sentences = [
        sentence for item in evidence.per_isa for sentence in _causes(item, evidence, verdict, others)
    ]
    if _unsatisfied(verdict, None, SPEED):
        sentences += _never_int8(census)
    return tuple(dict.fromkeys([*sentences, *_from_verdict(verdict)]))


def _causes(
    item: IsaEvidence, evidence: CandidateEvidence, verdict: Verdict, others: Sequence[CandidateEvidence]
) -> Iterator[str]:
    slow = _unsatisfied(verdict, item.isa, SPEED)
    inaccurate = _unsatisfied(verdict, item.isa, ACCURACY)
    for rule in (*(SPEED_RULES if slow else ()), *(ACCURACY_RULES if inaccurate else ())):
        yield from rule(item, evidence)
    if inaccurate:
        yield from _better_candidate(item, evidence, others)
    native = evidence.per_isa[0]
    if inaccurate and item.emulated and not _unsatisfied(verdict, native.isa, ACCURACY):
        yield (
            f"The accuracy holds on {native.isa} and is in doubt on {item.isa} only: leave {item.isa} out of "
            "`validation.deploy_isas`, or release another layout for it."
        )
    rejected = any(result.outcome is Outcome.REJECTED for result in inaccurate)
    if item.isa not in VNNI and (rejected or _unsatisfied(verdict, item.isa, ("speed-up",))):
        yield _no_vnni(item)


def fp32_layers(item: IsaEvidence, evidence: CandidateEvidence) -> Iterator[str]:
    """Names the layers that did not run in INT8, grouped by kind and reason, the slowest group first."""
    audit = item.audit
    if not audit.fp32_layers or audit.int8_share_by_time > 1 - FP32_TIME_SHARE:
        return
    groups: dict[tuple[str, str], list[Fp32Layer]] = defaultdict(list)
    for layer in audit.fp32_layers:
        groups[layer.kind, layer.reason].append(layer)
    slowest = sorted(groups.items(), key=lambda group: (-_total_ms(group[1]), group[0]))
    named = "; ".join(
        f"{len(layers)} {kind} ({_total_ms(layers):.3f} ms): {reason}"
        for (kind, reason), layers in slowest[:NAMED_GROUPS]
    )
    yield (
        f"On {item.isa}, INT8 kernels take {100 * audit.int8_share_by_time:.0f} % of the compute time; "
        f"{counted(len(audit.fp32_layers), 'layer')} did not run in INT8. The slowest: {named}. "
        "Quantize their operator types with `quantization.op_types`, or remove the reason given."
    )


def outside_onednn(item: IsaEvidence, evidence: CandidateEvidence) -> Iterator[str]:
    """Tells how many operators are missing from oneDNN's log, and so from the measured times."""
    audit = item.audit
    if audit.outside_onednn:
        yield (
            f"On {item.isa}, {audit.outside_onednn} of the model's {audit.compute_operators} compute "
            "operators ran outside oneDNN, in Paddle's own FP32 kernels; the share of compute time leaves "
            "them out. Write them in a form that oneDNN executes, or compare another layout."
        )


def reorders(item: IsaEvidence, evidence: CandidateEvidence) -> Iterator[str]:
    audit, kernels_ms = item.audit, _kernels_ms(item)
    if audit.reorder_time_ms > REORDER_TIME_SHARE * kernels_ms:
        yield (
            f"On {item.isa}, {audit.reorders} reorders take {audit.reorder_time_ms:.3f} of {kernels_ms:.3f} "
            "ms in kernels: data is converted between FP32 and INT8 or between memory formats. Quantize the "
            "operators between INT8 layers too, so that data stays INT8 from one to the next."
        )


def framework_overhead(item: IsaEvidence, evidence: CandidateEvidence) -> Iterator[str]:
    """Tells when most of the latency is spent outside kernels.

    oneDNN's log gives the time of each kernel, so the rest of the median latency is the framework's.
    """
    summary, kernels_ms = item.latency.summaries.get("candidate"), _kernels_ms(item)
    if summary and 0 < kernels_ms < KERNEL_TIME_SHARE * summary.p50_ms:
        yield (
            f"On {item.isa}, only {kernels_ms:.3f} of {summary.p50_ms:.3f} ms are spent in oneDNN kernels; "
            "the rest is the framework's cost per operator, which INT8 does not reduce. Serve larger "
            "batches, or fuse operators; a model this small gains little from INT8."
        )


def bf16_is_faster(item: IsaEvidence, evidence: CandidateEvidence) -> Iterator[str]:
    bf16, int8 = item.latency.summaries.get("bf16"), item.latency.summaries.get("candidate")
    if bf16 and int8 and bf16.p50_ms < int8.p50_ms:
        yield (
            f"On {item.isa}, BF16 is faster than INT8 ({bf16.p50_ms:.3f} against {int8.p50_ms:.3f} ms) and "
            "needs no calibration: consider serving BF16."
        )


def low_sqnr(item: IsaEvidence, evidence: CandidateEvidence) -> Iterator[str]:
    weakest = next((each.name for each in item.outputs if each.sqnr_db == item.sqnr_db), "")
    where = f" in {weakest}, the output that keeps least" if weakest and len(item.outputs) > 1 else ""
    found = f"On {item.isa}, the outputs' signal-to-quantization-noise ratio is {item.sqnr_db:.1f} dB{where}"
    if item.sqnr_db < BROKEN_SQNR_DB:
        yield (
            f"{found}: they hardly resemble FP32's. That is rarely calibration; check that scales, "
            "preprocessing and conversion belong to this model, and compare the other layout."
        )
    elif item.sqnr_db < LOW_SQNR_DB:
        yield (
            f"{found}, below the {LOW_SQNR_DB:g} dB at which models usually keep their accuracy. Calibrate "
            "with another algorithm or more samples, or keep the layers with the widest ranges in FP32."
        )


def conversion(item: IsaEvidence, evidence: CandidateEvidence) -> Iterator[str]:
    """Tells when INT8 keeps much less than the simulation of its rounding: a conversion or kernel is wrong.

    Instruction sets without VNNI are left out, because saturation can explain the loss there.
    """
    found = item.simulation
    if found and item.isa in VNNI and found.simulated_sqnr_db - found.int8_sqnr_db > CONVERSION_LOSS_DB:
        yield (
            f"PaddleSlim's simulation of this quantization keeps {found.simulated_sqnr_db:.1f} dB of "
            f"{found.samples} samples, INT8 on {item.isa} {found.int8_sqnr_db:.1f} dB: that is not lost by "
            "rounding, but by an operator that the conversion or a kernel gets wrong. Compare the other "
            "layout; `conversion.ops_to_quantize` and `quantization.skip_tensors` narrow it down."
        )


def suspect_baseline(item: IsaEvidence, evidence: CandidateEvidence) -> Iterator[str]:
    """Tells when INT8 keeps much more than the simulation of its rounding and the baseline was not verified.

    INT8 and the baseline may then share an error that the simulation lacks. Where the baseline was compared
    with Paddle's own kernels, it has passed: the simulation itself is the coarser one there.
    """
    found, verified = item.simulation, item.native is not None and bool(item.native.outputs)
    if found and not verified and found.int8_sqnr_db - found.simulated_sqnr_db > CONVERSION_LOSS_DB:
        yield (
            f"PaddleSlim's simulation of this quantization, which Paddle's own kernels run, keeps "
            f"{found.simulated_sqnr_db:.1f} dB of {found.samples} samples, INT8 on {item.isa} "
            f"{found.int8_sqnr_db:.1f} dB: the FP32 baseline itself is suspect, since it and INT8 run on "
            "oneDNN and share what a kernel there gets wrong. Hold the baseline's answers to the framework "
            "that trained the model; write the operator types that oneDNN gets wrong into "
            "`conversion.native_ops`."
        )


def saturation(item: IsaEvidence, evidence: CandidateEvidence) -> Iterator[str]:
    """Tells when a model keeps much less signal without VNNI than with it, or than the simulation keeps.

    Where there is neither of the two, it tells that saturation is possible.
    """
    native, found = evidence.per_isa[0], item.simulation
    layout = LAYOUTS.find(evidence.candidate.layout)
    if item.isa in VNNI or layout.narrow:
        return
    narrowed = [f"add the layout `{layout.narrowed}`, whose sums fit"] if layout.narrowed else []
    kept = ["keep the operators concerned in FP32"] if layout.simulated else []
    remedy = f"For {item.isa} {', or '.join(narrowed + kept) or 'release another layout'}."
    if native.isa in VNNI:
        found_db, kept_db, there = item.sqnr_db, native.sqnr_db, f"{native.sqnr_db:.1f} dB on {native.isa}"
    elif found:
        found_db, kept_db = found.int8_sqnr_db, found.simulated_sqnr_db
        there = f"{kept_db:.1f} dB of {found.samples} samples in PaddleSlim's simulation"
    else:
        if not layout.simulated:
            yield (
                f"INT8 keeps {item.sqnr_db:.1f} dB on {item.isa}: without VNNI, sums of 8-bit products "
                "saturate at 16 bits, and nothing simulates this layout to tell how much they lose. "
                f"{remedy}"
            )
        return
    if kept_db - found_db > SATURATION_LOSS_DB:
        yield (
            f"The same model has {there} and {found_db:.1f} dB on {item.isa}: without VNNI, sums of 8-bit "
            f"products saturate at 16 bits. {remedy}"
        )


def worst_class(item: IsaEvidence, evidence: CandidateEvidence) -> Iterator[str]:
    worst = item.worst_class
    if worst and item.metrics and worst.drop_pp > max(0.0, 2 * item.metrics[0].drop_pp):
        yield (
            f"On {item.isa}, the drop is uneven: class {worst.label} loses {worst.drop_pp:.1f} points on "
            f"{counted(worst.samples, 'sample')}, all classes together {item.metrics[0].drop_pp:.2f}. Add "
            f"samples of class {worst.label} to the calibration data."
        )


SPEED_RULES: tuple[Rule, ...] = (fp32_layers, outside_onednn, reorders, framework_overhead, bf16_is_faster)
ACCURACY_RULES: tuple[Rule, ...] = (conversion, suspect_baseline, low_sqnr, saturation, worst_class)


def _better_candidate(
    item: IsaEvidence, evidence: CandidateEvidence, others: Sequence[CandidateEvidence]
) -> Iterator[str]:
    """Recommends the candidate of this release that keeps clearly more signal on this instruction set."""
    measured = [(each, other) for other in others for each in other.per_isa if each.isa is item.isa]
    if not measured:
        return
    best, candidate = max(measured, key=lambda pair: pair[0].sqnr_db)
    if best.sqnr_db - item.sqnr_db > SATURATION_LOSS_DB:
        drops = ", ".join(f"{metric.title} {metric.change} points" for metric in best.metrics)
        yield (
            f"On {item.isa}, {candidate.candidate.name} was measured in this release to keep "
            f"{best.sqnr_db:.1f} dB instead of {item.sqnr_db:.1f} ({drops}, "
            f"{best.latency.speedup.ratio:.2f}x as fast as FP32): serve that one on {item.isa}."
        )


def _good(item: IsaEvidence, evidence: CandidateEvidence) -> Iterator[str]:
    """States what an approved candidate gains and, below the published speed-up, where the time goes."""
    yield _gained(item)
    yield from suspect_baseline(item, evidence)
    band = published_band(item.isa)
    if band is not None and item.latency.speedup.ratio < band.low:
        yield f"On {item.isa}, image models were published at {band.low:g}x and more; this one is below that."
        for rule in SPEED_RULES:
            yield from rule(item, evidence)


def _gained(item: IsaEvidence) -> str:
    audit, emulated = item.audit, " (emulated)" if item.emulated else ""
    drops = ", ".join(f"{metric.title} {metric.change} points" for metric in item.metrics)
    return (
        f"On {item.isa}{emulated}, INT8 is as required: {item.latency.speedup.ratio:.2f}x as fast as "
        f"FP32, {drops}, {audit.counted()} in INT8 "
        f"({100 * audit.int8_share_by_time:.0f} % of compute time), {item.sqnr_db:.1f} dB."
    )


def _no_vnni(item: IsaEvidence) -> str:
    return (
        f"{item.isa} has no VNNI: INT8 multiply-accumulate takes three instructions instead of one, and the "
        "sums in between are 16 bits wide, which costs speed and can cost accuracy. Serve on a CPU with VNNI "
        "(Intel Cascade Lake, AMD Zen 4, or newer)."
    )


def _never_int8(census: OperatorCensus) -> Iterator[str]:
    for operator, reason in sorted(census.never.items()):
        count = census.counts.get(operator, 0)
        yield f"{counted(count, 'operator')} {operator} of the model cannot run in INT8: {reason}."


def _from_verdict(verdict: Verdict) -> Iterator[str]:
    for result in verdict.results:
        if result.outcome is not Outcome.APPROVED:
            where = f" on {result.isa}" if result.isa else ""
            yield (
                f"{result.criterion}{where} is {result.outcome}: found {result.found}; "
                f"required {result.required}. Remedy: {result.remedy}."
            )


def _unsatisfied(verdict: Verdict, isa: IsaLevel | None, criteria: tuple[str, ...]) -> list[CriterionResult]:
    """The results of these criteria that are not approved, on `isa` or, when that is None, on any."""
    return [
        result
        for result in verdict.results
        if result.outcome is not Outcome.APPROVED
        and result.criterion.startswith(criteria)
        and isa in (None, result.isa)
    ]


def _kernels_ms(item: IsaEvidence) -> float:
    return sum(share.time_ms for share in item.audit.shares)


def _total_ms(layers: Iterable[Fp32Layer]) -> float:
    return sum(layer.time_ms for layer in layers)
