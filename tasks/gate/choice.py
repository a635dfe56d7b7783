"""Which candidate a release speaks of: the fastest that is right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import Judged
from paddle_int8.tasks.contracts.vocabulary import Outcome

PREFERENCE = (Outcome.APPROVED, Outcome.INCONCLUSIVE, Outcome.REJECTED)


def choose(judged: Sequence[Judged]) -> Judged | None:
    """The approved candidate with the highest lower bound of the native speed-up.

    Without an approved one, the inconclusive or else rejected candidate that fails the fewest criteria,
    so that the report has something to explain; its verdict stays what it is. None without candidates.
    Equals are decided by name.
    Raises: ValueError when a verdict is of other bytes than the evidence beside it.
    """
    if any(each.evidence.digest != each.verdict.digest for each in judged):
        raise ValueError("a verdict is not of the bytes that its evidence is of")
    return min(judged, key=_rank, default=None)


def _rank(judged: Judged) -> tuple[int, int, float, str, str]:
    """The lowest is the best."""
    failed = sum(result.outcome is Outcome.REJECTED for result in judged.verdict.results)
    return (
        PREFERENCE.index(judged.verdict.outcome),
        failed,
        -_native_speedup(judged.evidence),
        judged.candidate.name,
        judged.evidence.digest,
    )


def _native_speedup(evidence: CandidateEvidence) -> float:
    native = next((item for item in evidence.per_isa if not item.emulated), None)
    low = native.latency.speedup.low if native else math.nan
    return low if math.isfinite(low) else -math.inf
