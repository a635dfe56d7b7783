"""The gate's verdict on a candidate, and the outcome of a release."""

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
    """The outcome of one criterion: one line of a verdict."""

    criterion: str
    isa: IsaLevel | None
    outcome: Outcome
    found: str
    required: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's verdict on one candidate. `digest` ties it to the bytes that were measured."""

    outcome: Outcome
    candidate: Candidate
    digest: str
    results: tuple[CriterionResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One candidate that was built and measured: its models, its evidence and its verdict."""

    quantized: QuantizedArtifact
    deployable: DeployableArtifact
    evidence: CandidateEvidence
    verdict: Verdict

    @property
    def candidate(self) -> Candidate:
        return self.evidence.candidate


Attempt = Judged | FailedCandidate
"""What became of one candidate: it was judged, or a step failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The result of a whole release. `chosen` is None when no candidate could be measured."""

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
