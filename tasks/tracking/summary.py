"""Puts a release into words and rows, for the HTML report and the Markdown artifact alike."""

from __future__ import annotations

from dataclasses import dataclass

from paddle_int8.tasks.contracts.evidence import (
    CandidateEvidence,
    IsaEvidence,
    LatencySummary,
    MetricEvidence,
    SpeedRatio,
)
from paddle_int8.tasks.contracts.evidence import signed as plainly_signed
from paddle_int8.tasks.contracts.verdict import CriterionResult, Looks, Release, Verdict
from paddle_int8.tasks.contracts.vocabulary import Outcome

REPORT = "report.html"
"""The report among the artifacts of a release's run in MLflow."""
TAGS_EXPLAINED = (
    "The tags: `candidate` is the algorithm and the layout that made this version, `isa_levels` are the "
    "instruction sets on which it was measured; `model_digest` and `bundle_digest` name the bytes of the "
    "model and of all that serving needs."
)
"""What the tags of a version mean, for a reader of MLflow's page."""
SUBJECTS = {
    "baseline": "FP32, oneDNN (baseline)",
    "candidate": "INT8, this release",
    "bf16": "BF16, oneDNN",
    "native_fp32": "FP32, native Paddle",
}
MARKS = {Outcome.APPROVED: "✓", Outcome.REJECTED: "✗", Outcome.INCONCLUSIVE: "?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The head of the report: the verdict as a word, its reason, and the next step.

    `beside` is what must be known beside an approval, "" when there is nothing. `code` is the next step as a
    line of code, "" when there is none.
    """

    word: str
    sentence: str
    next_step: str
    beside: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRow:
    """One candidate on the native instruction set, with the columns of Paddle's published table."""

    name: str
    chosen: bool
    outcome: Outcome | None
    metrics: tuple[MetricEvidence, ...]
    baseline: LatencySummary
    candidate: LatencySummary
    speedup: SpeedRatio
    size_bytes: int
    int8_share_by_time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRow:
    """A predictor that was timed in turns with the candidate.

    `summary` is None when this CPU cannot run it; `note` then gives the reason.
    """

    subject: str
    summary: LatencySummary | None
    ratio: float | None
    note: str


def focus(release: Release) -> tuple[CandidateEvidence, Verdict | None] | None:
    """The candidate that the report is about: the chosen one, else the first that was measured."""
    if not release.evidence:
        return None
    evidence = next(
        (item for item in release.evidence if item.candidate == release.chosen), release.evidence[0]
    )
    return evidence, verdict_of(release, evidence)


def verdict_of(release: Release, evidence: CandidateEvidence) -> Verdict | None:
    """The verdict on the candidate with exactly this digest; None when there is none."""
    for verdict in release.verdicts:
        if verdict.candidate == evidence.candidate and verdict.digest == evidence.digest:
            return verdict
    return None


def headline(release: Release) -> Headline:
    """What a reader needs in two seconds: the verdict, one sentence, one next step."""
    focused = focus(release)
    if focused is None:
        return Headline(
            word="Rejected",
            sentence="No candidate could be built and measured.",
            next_step="Read what each candidate failed with, below; the first message is usually the cause.",
        )
    evidence, verdict = focused
    open_results = _open_results(verdict, release.outcome)
    match release.outcome:
        case Outcome.APPROVED:
            return _approved(release, evidence)
        case Outcome.REJECTED:
            reason = _reason(open_results) or "no candidate met every criterion"
            word, sentence = "Rejected", f"Do not deploy {evidence.candidate.name}. {_capital(reason)}."
        case Outcome.INCONCLUSIVE:
            reason = _reason(open_results) or "the evidence does not decide every criterion"
            word, sentence = (
                "Inconclusive",
                f"{evidence.candidate.name} may be good enough. {_capital(reason)}.",
            )
    remedies = dict.fromkeys(result.remedy for result in open_results if result.remedy)
    return Headline(word=word, sentence=sentence, next_step=_sentences(remedies) or "See the criteria below.")


def candidate_rows(release: Release) -> tuple[CandidateRow, ...]:
    """One row for each measured candidate, in the order in which the strategy asked for them."""
    rows = []
    for evidence in release.evidence:
        native, verdict = evidence.per_isa[0], verdict_of(release, evidence)
        rows.append(
            CandidateRow(
                name=evidence.candidate.name,
                chosen=evidence.candidate == release.chosen,
                outcome=verdict.outcome if verdict else None,
                metrics=native.metrics,
                baseline=native.latency.summaries["baseline"],
                candidate=native.latency.summaries["candidate"],
                speedup=native.latency.speedup,
                size_bytes=evidence.size_bytes,
                int8_share_by_time=native.audit.int8_share_by_time,
            )
        )
    return tuple(rows)


def reference_rows(item: IsaEvidence) -> tuple[ReferenceRow, ...]:
    """One row for the baseline, INT8 and each reference, with the ratio of the baseline's p50 to its own."""
    latency = item.latency
    baseline = latency.summaries["baseline"]
    rows = []
    for key, subject in SUBJECTS.items():
        summary = latency.summaries.get(key)
        if summary or key in latency.skipped:
            ratio = baseline.p50_ms / summary.p50_ms if summary else None
            note = latency.skipped.get(key, "")
            rows.append(ReferenceRow(subject=subject, summary=summary, ratio=ratio, note=note))
    return tuple(rows)


def native_is_faster(evidence: CandidateEvidence) -> str:
    """A sentence that says so when Paddle's own FP32 kernels are faster than this INT8 model; "" otherwise.

    The baseline is FP32 on oneDNN, but many people run FP32 without it.
    """
    latency = evidence.per_isa[0].latency
    ratio = latency.native_speedup
    if ratio is None or ratio.ratio >= 1:
        return ""
    native, int8 = latency.summaries["native_fp32"], latency.summaries["candidate"]
    sure = "is" if ratio.high < 1 else "may be"
    return (
        f"Paddle's own FP32, without oneDNN, {sure} faster than this INT8 model: {native.p50_ms:.2f} ms "
        f"against {int8.p50_ms:.2f} ms a batch. INT8 runs {ratio.ratio:.2f}× as fast as that "
        f"({ratio.low:.2f}–{ratio.high:.2f})."
    )


def disturbance_sentence(item: IsaEvidence) -> str:
    """What the host did while latency was timed, and what it does to the interval; "" when it is unknown."""
    latency = item.latency
    found = latency.disturbance
    if found is None:
        return ""
    told = [
        f"While latency was timed in {latency.speedup.processes} processes, {found.described()}, and "
        f"{found.load:.1f} processes ran or waited to run.",
        f"The interval of the speed-up is {100 * latency.speedup.allowance:.1f} % wider either way for it.",
    ]
    if found.pressure_share is not None:
        told.append(f"Some process waited for a CPU in {100 * found.pressure_share:.0f} % of the time.")
    if found.highest_mhz:
        told.append(f"The clock ran at {found.lowest_mhz:.0f} to {found.highest_mhz:.0f} MHz.")
    return " ".join(told)


def looks_sentences(looks: Looks) -> tuple[str, ...]:
    """How often the validation samples were looked at, and what that costs, in sentences."""
    number = "One candidate was" if looks.candidates == 1 else f"{looks.candidates} candidates were"
    said = [
        f"{number} tested on the validation samples. The chance that this release approves a candidate whose "
        f"true drop exceeds the margin is at most {100 * looks.error:.3g} %."
        if looks.candidates
        else "This release does not count as a look at the validation samples: each candidate failed a "
        "criterion that does not depend on them, such as the speed."
    ]
    earlier = looks.earlier
    if not earlier.releases:
        return tuple(said)
    others = "Another release" if earlier.releases == 1 else f"{earlier.releases} other releases"
    said.append(
        f"{others} tested {earlier.candidates} candidates on the same samples before. The chance that any of "
        f"these {earlier.releases + 1} releases approved a wrong model is at most "
        f"{100 * looks.total_error:.3g} %."
    )
    if looks.used_up:
        said.append(
            "The validation samples are used up: "
            + (
                f"more releases used them than the {looks.planned} that `gate.releases` plans."
                if looks.planned > 1
                else "nothing is known any more of how many of these releases approved a wrong model."
            )
            + " Draw new ones that no model was chosen on, or plan the number of releases with "
            "`gate.releases`."
        )
    return tuple(said)


def correction_sentence(evidence: CandidateEvidence) -> str:
    """What the bounds of a candidate pay for the others, in a sentence; "" when they pay nothing."""
    paid = [
        f"{metric_label(metric.name)} on {item.isa} from {metric.correction.alone_upper_pp:.2f} to "
        f"{metric.drop_upper_pp:.2f} points (at {100 * metric.correction.confidence:.4g} % instead of "
        f"{100 * metric.confidence:g} %)"
        for item in evidence.per_isa
        for metric in item.metrics
        if metric.correction
    ]
    if not paid:
        return ""
    return f"For that, the bounds of {evidence.candidate.name} were widened: {', '.join(paid)}."


def audit_sentence(item: IsaEvidence) -> str:
    """Example: `26 of 28 compute primitives ran in INT8, 84 % of compute time.`

    What ran outside oneDNN is added.
    """
    audit = item.audit
    kinds = {share.kind for share in audit.shares if share.dtype == "int8"}
    convolutions = [share for share in audit.shares if share.kind == "convolution"]
    if kinds == {"convolution"} and sum(share.count for share in convolutions) == audit.compute_operators:
        subject = f"{audit.int8_primitives} of {audit.compute_operators} convolutions"
    else:
        subject = audit.counted()
    return f"{subject} ran in INT8, {percent(audit.int8_share_by_time)} of compute time{audit.aside()}."


def percent(share: float) -> str:
    """A share in percent, never rounded up to all: 0.9996 gives `over 99.9 %`, not `100.0 %`."""
    if 0.999 <= share < 1:
        return "over 99.9 %"
    return f"{100 * share:.1f} %" if share > 0.99 or share < 0.1 else f"{100 * share:.0f} %"


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, as a true minus. A number that rounds to zero has no sign."""
    return plainly_signed(value, digits).replace("-", "−")


def metric_label(name: str) -> str:
    """The label of a metric: `top1` gives `Top-1`, and `package.module:function` gives `function`."""
    return {"top1": "Top-1", "top5": "Top-5"}.get(name, name.rpartition(":")[2])


def _open_results(verdict: Verdict | None, outcome: Outcome) -> list[CriterionResult]:
    return [result for result in verdict.results if result.outcome is outcome] if verdict else []


def _reason(results: list[CriterionResult]) -> str:
    """The first deciding criterion with its instruction set, and how many more there are."""
    if not results:
        return ""
    first = results[0]
    level = f" on {first.isa}" if first.isa else ""
    more = f" ({len(results) - 1} more below)" if len(results) > 1 else ""
    return f"{first.criterion}{level}: found {first.found}; required {first.required}{more}"


def approval_sentence(evidence: CandidateEvidence) -> str:
    """How fast and how accurate an approved candidate is, with the bounds of both."""
    native = evidence.per_isa[0]
    speed, metric = native.latency.speedup, native.metrics[0]
    lost = f"{metric.drop_pp:.2f} points" if metric.drop_pp > 0 else "nothing"
    return (
        f"{evidence.candidate.name} runs {speed.ratio:.2f}× as fast as FP32 (at least {speed.low:.2f}×) and "
        f"loses {lost} of {metric_label(metric.name)} (at most {max(0.0, metric.drop_upper_pp):.2f} with "
        f"{100 * metric.confidence:g} % confidence)."
    )


def version_description(evidence: CandidateEvidence) -> str:
    """What MLflow's page of a version of the model says, in Markdown: the verdict, and where it holds."""
    native = evidence.per_isa[0]
    host, batch = evidence.host.cpu_model, native.latency.batch_size
    where = f"Measured on {host} ({native.isa}) with batches of {batch}."
    said = " ".join(
        filter(None, ("**Approved.**", approval_sentence(evidence), where, native_is_faster(evidence)))
    )
    return f"{said}\n\n{TAGS_EXPLAINED}"


def _approved(release: Release, evidence: CandidateEvidence) -> Headline:
    sentence, found, beside = approval_sentence(evidence), release.registered, native_is_faster(evidence)
    if found is None:
        return Headline(
            word="Approved",
            sentence=sentence,
            next_step="Not registered; the bundle is ready.",
            beside=beside,
        )
    return Headline(
        word="Approved",
        sentence=sentence,
        next_step=f"Load version {found.version} of {found.name}, alias {found.alias}:",
        beside=beside,
        code=f'mlflow.pyfunc.load_model("{found.uri}")',
    )


def _sentences(texts: dict[str, None]) -> str:
    return " ".join(f"{_capital(text).rstrip('.')}." for text in texts)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
