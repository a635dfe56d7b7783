"""What a release says to a reader: the verdict in words, and the candidates as rows.

Shared by the HTML report and the Markdown artifact, so that both say the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from paddle_int8.tasks.contracts.evidence import (
    CandidateEvidence,
    IsaEvidence,
    LatencySummary,
    MetricEvidence,
    SpeedRatio,
)
from paddle_int8.tasks.contracts.verdict import CriterionResult, Release, Verdict
from paddle_int8.tasks.contracts.vocabulary import Outcome

SUBJECTS = {
    "baseline": "FP32, oneDNN (baseline)",
    "candidate": "INT8, this release",
    "bf16": "BF16, oneDNN",
    "native_fp32": "FP32, native Paddle",
}
MARKS = {Outcome.APPROVED: "✓", Outcome.REJECTED: "✗", Outcome.INCONCLUSIVE: "?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The verdict as a word, why it is so, and what to do next, if possible as a line of code."""

    word: str
    sentence: str
    next_step: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRow:
    """A candidate on the native instruction set, in the published table's columns."""

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
    """A predictor timed in the same interleaved run; `summary` is None where it cannot run."""

    subject: str
    summary: LatencySummary | None
    ratio: float | None
    note: str


def focus(release: Release) -> tuple[CandidateEvidence, Verdict | None] | None:
    """The candidate that the release is about: the chosen one, else the first measured."""
    if not release.evidence:
        return None
    evidence = next(
        (item for item in release.evidence if item.candidate == release.chosen), release.evidence[0]
    )
    return evidence, verdict_of(release, evidence)


def verdict_of(release: Release, evidence: CandidateEvidence) -> Verdict | None:
    """The verdict on exactly these bytes."""
    for verdict in release.verdicts:
        if verdict.candidate == evidence.candidate and verdict.digest == evidence.digest:
            return verdict
    return None


def headline(release: Release) -> Headline:
    """Two seconds' worth: the word, one sentence, one step."""
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
    """One row for each measured candidate, in the order they were asked for."""
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
    """Baseline, INT8 and the references that are not candidates, with FP32's time over theirs."""
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


def audit_sentence(item: IsaEvidence) -> str:
    """`26 of 28 compute primitives ran in INT8, 84 % of compute time.`, and what ran outside oneDNN."""
    audit = item.audit
    kinds = {share.kind for share in audit.shares if share.dtype == "int8"}
    convolutions = [share for share in audit.shares if share.kind == "convolution"]
    if kinds == {"convolution"} and sum(share.count for share in convolutions) == audit.compute_operators:
        subject = f"{audit.int8_primitives} of {audit.compute_operators} convolutions"
    else:
        subject = audit.counted()
    return f"{subject} ran in INT8, {percent(audit.int8_share_by_time)} of compute time{audit.aside()}."


def percent(share: float) -> str:
    """A share without rounding up to all: 99.96 % is not 100 %."""
    if 0.999 <= share < 1:
        return "over 99.9 %"
    return f"{100 * share:.1f} %" if share > 0.99 or share < 0.1 else f"{100 * share:.0f} %"


def signed(value: float, digits: int = 2) -> str:
    """With its sign, and a true minus; what rounds to zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def metric_label(name: str) -> str:
    """`top1` as the tables print it; of `package.module:function`, the function."""
    return {"top1": "Top-1", "top5": "Top-5"}.get(name, name.rpartition(":")[2])


def _open_results(verdict: Verdict | None, outcome: Outcome) -> list[CriterionResult]:
    return [result for result in verdict.results if result.outcome is outcome] if verdict else []


def _reason(results: list[CriterionResult]) -> str:
    """The first criterion that decides, on its level, and how many more there are."""
    if not results:
        return ""
    first = results[0]
    level = f" on {first.isa}" if first.isa else ""
    more = f" ({len(results) - 1} more below)" if len(results) > 1 else ""
    return f"{first.criterion}{level}: found {first.found}, required {first.required}{more}"


def _approved(release: Release, evidence: CandidateEvidence) -> Headline:
    native = evidence.per_isa[0]
    speed, metric = native.latency.speedup, native.metrics[0]
    lost = f"{metric.drop_pp:.2f} points" if metric.drop_pp > 0 else "nothing"
    sentence = (
        f"{evidence.candidate.name} runs {speed.ratio:.2f}× as fast as FP32 (at least {speed.low:.2f}×) and "
        f"loses {lost} of {metric_label(metric.name)} (at most {max(0.0, metric.drop_upper_pp):.2f} with "
        f"{100 * metric.confidence:g} % confidence)."
    )
    found = release.registered
    if found is None:
        return Headline(word="Approved", sentence=sentence, next_step="Not registered; the bundle is ready.")
    return Headline(
        word="Approved",
        sentence=sentence,
        next_step=f"Load version {found.version} of {found.name}, alias {found.alias}:",
        code=f'mlflow.pyfunc.load_model("{found.uri}")',
    )


def _sentences(texts: dict[str, None]) -> str:
    return " ".join(f"{_capital(text).rstrip('.')}." for text in texts)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
