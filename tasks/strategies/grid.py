"""Which candidates to try next. The flow asks again after each round, with everything known so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, FailedCandidate


class Strategy(Protocol):
    """The seam for a search that learns from the evidence; an empty answer ends it."""

    def next_candidates(
        self, evidence: Sequence[CandidateEvidence], failed: Sequence[FailedCandidate]
    ) -> tuple[Candidate, ...]: ...


@dataclass(frozen=True, slots=True)
class GridStrategy:
    """Every candidate of a fixed grid, once: those that were neither measured nor failed."""

    grid: tuple[Candidate, ...]

    def next_candidates(
        self, evidence: Sequence[CandidateEvidence], failed: Sequence[FailedCandidate]
    ) -> tuple[Candidate, ...]:
        tried = {item.candidate for item in evidence} | {item.candidate for item in failed}
        return tuple(candidate for candidate in self.grid if candidate not in tried)
