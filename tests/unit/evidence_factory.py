"""Makes evidence that the gate approves, and spoils one thing of it at a time."""

from __future__ import annotations

import dataclasses
from typing import Any

from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.evidence import (
    CandidateEvidence,
    IsaEvidence,
    KernelAudit,
    MetricEvidence,
    SpeedRatio,
)
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.validation.statistics import paired_drop_bounds
from tests.release_factory import build_evidence

VNNI, SKYLAKE = IsaLevel.AVX512_CORE_VNNI, IsaLevel.AVX512_CORE


def good_evidence(
    name: str = "hist-offline", *, isas: tuple[IsaLevel, ...] = (VNNI,), speedup: float = 2.5
) -> CandidateEvidence:
    """Approved by the default gate on every one of `isas`; the first is native, the others emulated."""
    algorithm, layout = name.split("-")
    candidate = Candidate(algorithm=algorithm, layout=layout)
    evidence = build_evidence(candidate, isas=isas, lost=0)
    per_isa = tuple(
        dataclasses.replace(
            item,
            metrics=(counted("top1", lost=5, gained=3), counted("top5", lost=1, gained=1)),
            sqnr_db=24.0,
            latency=dataclasses.replace(item.latency, speedup=ratio(speedup)),
        )
        for item in evidence.per_isa
    )
    return dataclasses.replace(evidence, per_isa=per_isa)


def spoil(evidence: CandidateEvidence, place: int = 0, **changes: Any) -> CandidateEvidence:
    """`evidence` with these fields of one instruction set changed."""
    per_isa = list(evidence.per_isa)
    per_isa[place] = dataclasses.replace(per_isa[place], **changes)
    return dataclasses.replace(evidence, per_isa=tuple(per_isa))


def with_speed(evidence: CandidateEvidence, speed: SpeedRatio, place: int = 0) -> CandidateEvidence:
    return spoil(evidence, place, latency=dataclasses.replace(evidence.per_isa[place].latency, speedup=speed))


def with_audit(evidence: CandidateEvidence, place: int = 0, **changes: Any) -> CandidateEvidence:
    audit: KernelAudit = dataclasses.replace(evidence.per_isa[place].audit, **changes)
    return spoil(evidence, place, audit=audit)


def native(evidence: CandidateEvidence) -> IsaEvidence:
    return evidence.per_isa[0]


def ratio(low: float, high: float | None = None, *, confidence: float = 0.95) -> SpeedRatio:
    high = low * 1.05 if high is None else high
    return SpeedRatio(ratio=(low + high) / 2, low=low, high=high, confidence=confidence, processes=5)


def counted(
    name: str = "top1",
    *,
    lost: int,
    gained: int,
    samples: int = 5000,
    baseline: float = 0.97,
    confidence: float = 0.95,
) -> MetricEvidence:
    low, high = paired_drop_bounds(lost, gained, samples, confidence=confidence)
    return MetricEvidence(
        name=name,
        samples=samples,
        baseline=baseline,
        candidate=baseline - (lost - gained) / samples,
        drop_pp=100 * (lost - gained) / samples,
        drop_lower_pp=low,
        drop_upper_pp=high,
        confidence=confidence,
        lost=lost,
        gained=gained,
    )


def graded(low: float, drop: float, high: float, *, samples: int = 500) -> MetricEvidence:
    """Bounds and drop in percentage points."""
    return MetricEvidence(
        name="f1",
        samples=samples,
        baseline=0.8,
        candidate=0.8 - drop / 100,
        drop_pp=drop,
        drop_lower_pp=low,
        drop_upper_pp=high,
        confidence=0.95,
        lost=None,
        gained=None,
    )
