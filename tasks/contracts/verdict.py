"""What the gate says of a candidate, and what a release came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.contracts.artifacts import (
    Bundle,
    Candidate,
    DatasetArtifact,
    DeployableArtifact,
    HostProfile,
    ModelArtifact,
    QuantizedArtifact,
    RegisteredVersion,
)
from paddle_int8.tasks.contracts.evidence import CandidateEvidence, FailedCandidate
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionResult:
    """One line of a verdict."""

    criterion: str
    isa: IsaLevel | None
    outcome: Outcome
    found: str
    required: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's word on one candidate, tied to the digest of the bytes that were measured."""

    outcome: Outcome
    candidate: Candidate
    digest: str
    results: tuple[CriterionResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One candidate that got through: what was made of it, what was measured, and the gate's word."""

    quantized: QuantizedArtifact
    deployable: DeployableArtifact
    evidence: CandidateEvidence
    verdict: Verdict

    @property
    def candidate(self) -> Candidate:
        return self.evidence.candidate


Attempt = Judged | FailedCandidate
"""One candidate as far as it got."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a release came to. `chosen` is None when no candidate could be measured."""

    name: str
    outcome: Outcome
    host: HostProfile
    model: ModelArtifact
    calibration: DatasetArtifact
    validation: DatasetArtifact
    evidence: tuple[CandidateEvidence, ...]
    failed: tuple[FailedCandidate, ...]
    verdicts: tuple[Verdict, ...]
    chosen: Candidate | None
    bundle: Bundle | None
    registered: RegisteredVersion | None
    run_id: str | None
    tracking_uri: str
    report: Path | None
    seconds: float
