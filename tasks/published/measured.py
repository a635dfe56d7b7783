"""The figures of a release that go into the published table, and the targets that they must reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.evidence import (
    CandidateEvidence,
    IsaEvidence,
    LatencySummary,
    MetricEvidence,
)
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome
from paddle_int8.tasks.published.figures import EXTRAS, PUBLISHED, ExtraRow, PublishedRow, RowKey, Unit
from paddle_int8.tasks.published.origin import data_origin, model_origin
from paddle_int8.tasks.published.request import Column

TARGETS: Mapping[IsaLevel, float] = {IsaLevel.AVX512_CORE_VNNI: 2.2, IsaLevel.AVX512_CORE: 1.5}
"""Speed-ups that a row must reach on emulated instruction sets, unless its published one is lower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """The speed of the fastest candidate on one instruction set, at the row's batch size.

    `native_fp32` and `bf16` are references that were timed in the same rounds, None if they were not.
    `slowest` says where the candidate's time goes. `size_ratio` is the size of INT8 on disk over FP32's.
    """

    isa: IsaLevel
    emulated: bool
    candidate: str
    fp32: LatencySummary
    int8: LatencySummary
    native_fp32: LatencySummary | None
    bf16: LatencySummary | None
    ratio: float
    low: float
    high: float
    int8_share_by_count: float
    int8_share_by_time: float
    sqnr_db: float
    size_ratio: float
    slowest: str

    @property
    def over_native(self) -> float | None:
        """The median latency of Paddle's own FP32 kernels over the candidate's; None if not measured."""
        return self.native_fp32.p50_ms / self.int8.p50_ms if self.native_fp32 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of one release, which measured a row's speed or a row's accuracy.

    `metrics` are those of the chosen candidate on the host's own instruction set. `model` and `validation`
    say where the weights and the samples come from, without folders of this machine.
    """

    release: str
    outcome: Outcome
    chosen: str
    host: HostProfile
    per_isa: tuple[Speed, ...]
    metrics: tuple[MetricEvidence, ...]
    margin_pp: float
    model: str
    validation: str
    samples: int
    failed: tuple[str, ...]
    run_id: str | None
    finished: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmeasured:
    """The reason why there is no figure."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A published row, and what was measured for it."""

    published: PublishedRow
    speed: Measured | Unmeasured
    accuracy: Measured | Unmeasured

    @property
    def misses(self) -> tuple[str, ...]:
        """A sentence for each target that this row misses, with the reason that the audit gives."""
        missed = []
        for speed in self.speed.per_isa if isinstance(self.speed, Measured) else ():
            target = self.published.ratio
            if speed.emulated:
                target = min(target, TARGETS.get(speed.isa, 0.0))
            ratio = comparable(self.published, speed)
            if ratio < target:
                missed.append(f"{ratio:.2f}x on {speed.isa}, {target:g}x wanted: {speed.slowest}")
        return (*missed, *accuracy_misses(self.accuracy))


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """The measured accuracy of a row that was not published."""

    row: ExtraRow
    accuracy: Measured | Unmeasured


Halves = Mapping[tuple[RowKey, Column], Measured | Unmeasured]
"""What was measured of each row, speed and accuracy apart."""


def published_rows(halves: Halves) -> tuple[Row, ...]:
    """Every published row with its two halves."""
    return tuple(
        Row(
            published=row,
            speed=halves[row.key, Column.SPEED],
            accuracy=halves[row.key, Column.ACCURACY],
        )
        for row in PUBLISHED
    )


def extra_rows(halves: Halves) -> tuple[Extra, ...]:
    """Every accuracy beside the published rows."""
    return tuple(Extra(row=extra, accuracy=halves[extra.key, Column.ACCURACY]) for extra in EXTRAS)


def accuracy_misses(half: Measured | Unmeasured) -> tuple[str, ...]:
    """A sentence for each metric that may drop by more than the margin."""
    if isinstance(half, Unmeasured):
        return ()
    return tuple(
        f"{metric.name} may drop by {metric.drop_upper_pp:.2f} points, margin {half.margin_pp:g}"
        for metric in half.metrics
        if metric.drop_upper_pp > half.margin_pp
    )


def comparable(published: PublishedRow, speed: Speed) -> float:
    """The ratio that can be compared with the published one, because it is over the same kind of FP32."""
    if published.native_baseline and speed.over_native is not None:
        return speed.over_native
    return speed.ratio


def measured(release: Release, config: ReleaseConfig) -> Measured:
    """The figures of `release`, which ran the configuration `config`."""
    chosen = next(item for item in release.evidence if item.candidate == release.chosen)
    levels = [item.isa for item in chosen.per_isa]
    return Measured(
        release=release.name,
        outcome=release.outcome,
        chosen=chosen.candidate.name,
        host=release.host,
        per_isa=tuple(_fastest(release.evidence, index) for index in range(len(levels))),
        metrics=chosen.per_isa[0].metrics,
        margin_pp=config.gate.max_drop_pp,
        model=model_origin(config.model),
        validation=data_origin(config.data.validation),
        samples=release.validation.samples,
        failed=tuple(f"{item.candidate.name} at {item.step}: {item.error}" for item in release.failed),
        run_id=release.run_id,
        finished=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        seconds=release.seconds,
    )


def _fastest(evidence: tuple[CandidateEvidence, ...], index: int) -> Speed:
    best = max(evidence, key=lambda item: item.per_isa[index].latency.speedup.ratio)
    item = best.per_isa[index]
    summaries = item.latency.summaries
    return Speed(
        isa=item.isa,
        emulated=item.emulated,
        candidate=best.candidate.name,
        fp32=summaries["baseline"],
        int8=summaries["candidate"],
        native_fp32=summaries.get("native_fp32"),
        bf16=summaries.get("bf16"),
        ratio=item.latency.speedup.ratio,
        low=item.latency.speedup.low,
        high=item.latency.speedup.high,
        int8_share_by_count=item.audit.int8_share_by_count,
        int8_share_by_time=item.audit.int8_share_by_time,
        sqnr_db=item.sqnr_db,
        size_ratio=best.size_bytes / best.baseline_size_bytes,
        slowest=_slowest(item),
    )


def _slowest(item: IsaEvidence) -> str:
    """Where a candidate's time goes. Example: `kernels 7.0 of 10.0 ms (convolution int8 5.1 ms)`."""
    kernels_ms = sum(share.time_ms for share in item.audit.shares)
    total_ms = item.latency.summaries["candidate"].p50_ms
    parts = ", ".join(f"{share.kind} {share.dtype} {share.time_ms:.1f} ms" for share in item.audit.shares[:3])
    return f"kernels {kernels_ms:.1f} of {total_ms:.1f} ms ({parts})"


def shown(summary: LatencySummary | None, unit: Unit) -> float | None:
    """The speed in the row's unit; None when it was not measured."""
    if summary is None:
        return None
    return summary.p50_ms if unit is Unit.MILLISECONDS else summary.throughput_per_s
