"""Chooses the candidate that a release registers or reports: the fastest approved one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import Judged
from paddle_int8.tasks.contracts.vocabulary import Outcome

PREFERENCE = (Outcome.APPROVED, Outcome.INCONCLUSIVE, Outcome.REJECTED)


def choose(judged: Sequence[Judged]) -> Judged | None:
    """The approved candidate with the highest lower bound of the native speed-up.

    When none is approved, an inconclusive candidate is preferred to a rejected one, and then the one that
    is rejected by the fewest criteria, so that the report has something to explain. Its verdict does not
    change. Ties are broken by name. Returns None when there are no candidates.
    Raises: ValueError when a verdict and the evidence beside it have different digests.
    """
    if any(each.evidence.digest != each.verdict.digest for each in judged):
        raise ValueError("a verdict and its evidence have different digests")
    return min(judged, key=_rank, default=None)


def fastest(judged: Sequence[Judged]) -> Judged | None:
    """The candidate with the highest lower bound of the native speed-up, whatever its verdict."""
    return min(judged, key=lambda each: (-_native_speedup(each.evidence), each.candidate.name), default=None)


def _rank(judged: Judged) -> tuple[int, int, float, str, str]:
    """Sort key: the lowest is the best."""
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
