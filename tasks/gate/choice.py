"""Which candidate a release speaks of: the fastest that is right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import Verdict
from paddle_int8.tasks.contracts.vocabulary import Outcome

PREFERENCE = (Outcome.APPROVED, Outcome.INCONCLUSIVE, Outcome.REJECTED)


def choose(evidence: Sequence[CandidateEvidence], verdicts: Sequence[Verdict]) -> CandidateEvidence | None:
    """The approved candidate with the highest lower bound of the native speed-up.

    Without an approved one, the inconclusive or else rejected candidate that fails the fewest criteria,
    so that the report has something to explain; its verdict stays what it is. None without evidence.
    Equals are decided by name. verdicts: in the order of `evidence`.
    Raises: ValueError when a verdict is of other bytes than the evidence beside it.
    """
    pairs = list(zip(evidence, verdicts, strict=True))
    if any(item.digest != verdict.digest for item, verdict in pairs):
        raise ValueError("evidence and verdicts are not of the same candidates in the same order")
    best = min(pairs, key=lambda pair: _rank(*pair), default=None)
    return best[0] if best else None


def _rank(evidence: CandidateEvidence, verdict: Verdict) -> tuple[int, int, float, str, str]:
    """The lowest is the best."""
    failed = sum(result.outcome is Outcome.REJECTED for result in verdict.results)
    return (
        PREFERENCE.index(verdict.outcome),
        failed,
        -_native_speedup(evidence),
        evidence.candidate.name,
        evidence.digest,
    )


def _native_speedup(evidence: CandidateEvidence) -> float:
    native = next((item for item in evidence.per_isa if not item.emulated), None)
    low = native.latency.speedup.low if native else math.nan
    return low if math.isfinite(low) else -math.inf
