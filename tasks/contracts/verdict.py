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
from paddle_int8.tasks.contracts.sensitivity import Sensitivity
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
class EarlierLooks:
    """What earlier releases looked at on the same validation samples.

    releases, candidates: how many gave a verdict, and how many candidates they measured.
    error: the sum of the chances with which each of them may have approved a wrong candidate.
    """

    releases: int = 0
    candidates: int = 0
    error: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """How often the validation samples were looked at, by this release and by earlier ones.

    candidates: how many candidates of this release were tested on them together.
    error: the chance with which this release may approve a wrong candidate.
    planned: how many releases are to use these samples (`gate.releases`).
    """

    candidates: int
    error: float
    planned: int = 1
    earlier: EarlierLooks = EarlierLooks()

    @property
    def total_error(self) -> float:
        """The chance that any of these releases approved a wrong candidate is at most this."""
        return min(1.0, self.error + self.earlier.error)

    @property
    def used_up(self) -> bool:
        """Whether the errors add up to more than was planned; without a plan, to 1.

        Without a plan each release speaks for itself. Together nothing is known of them any more once the
        errors add up to 1, since by then one wrong approval is to be expected if all models are at the
        margin.
        """
        total, rounding = self.error + self.earlier.error, 1e-9
        if self.planned > 1:
            return total > self.planned * self.error + rounding
        return total >= 1 - rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The result of a whole release. `chosen` is None when no candidate could be measured.

    sensitivity: what the operators of the most promising candidate cost, where a search or a rejection asked.
    given: the candidates that were quantized elsewhere, whatever became of them.
    """

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
    looks: Looks | None = None
    sensitivity: Sensitivity | None = None
    given: tuple[QuantizedArtifact, ...] = ()
