"""What is measured of a candidate."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from paddle_int8.tasks.contracts.artifacts import Candidate, HostProfile
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, OutputKind


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedOutput:
    """How one output is compared with FP32's; `why` says in words how its kind was found.

    `axis` holds the scores of one decision, and the greatest decides. A score that decides alone says yes
    above `threshold`. `labelled`: the labels of the data are this output's. `sequence` as in `TensorSpec`.
    """

    name: str
    kind: OutputKind
    why: str
    axis: int = 1
    threshold: float = 0.0
    labelled: bool = False
    sequence: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """One predictor's latency of one batch, in milliseconds, and what it means per second."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    repeats: int
    throughput_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRatio:
    """Paired baseline/candidate ratio of median latency with its two-sided bootstrap interval."""

    ratio: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyEvidence:
    """Interleaved latency of the baseline, the candidate and the readers' references.

    In each round each of them has a turn of `warmup` calls at most and `calls` timed ones. `samples_ms`
    holds the raw timings by subject ("baseline", "candidate", "native_fp32", "bf16"), for the plot;
    subjects that this CPU cannot run are absent and named in `skipped` with the reason.
    """

    threads: int
    batch_size: int
    warmup: int
    calls: int
    summaries: dict[str, LatencySummary]
    samples_ms: dict[str, tuple[float, ...]]
    speedup: SpeedRatio
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEvidence:
    """A metric of baseline and candidate on the same samples.

    Scores are fractions of 1. `drop_pp` is baseline minus candidate in percentage points, positive
    when the candidate is worse; `drop_upper_pp` is its one-sided upper confidence bound. `lost` and
    `gained` count discordant samples (right in FP32 only, right in INT8 only) for 0/1 outcomes and
    are None for graded ones.
    """

    name: str
    samples: int
    baseline: float
    candidate: float
    drop_pp: float
    drop_lower_pp: float
    drop_upper_pp: float
    confidence: float
    lost: int | None
    gained: int | None

    @property
    def title(self) -> str:
        """The name without the module of a callable."""
        return self.name.rpartition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDrop:
    """The label whose first metric suffers most. `drop_pp` is positive when worse."""

    label: int
    samples: int
    drop_pp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimitiveShare:
    """oneDNN primitives of one kind and data type: how many ran in one inference, for how long."""

    kind: str
    dtype: str
    implementation: str
    count: int
    time_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fp32Layer:
    """A compute primitive that stayed FP32 or BF16 in a candidate, and the likely reason."""

    kind: str
    dtype: str
    shape: str
    time_ms: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelAudit:
    """What oneDNN says it executed, read from its verbose lines.

    Compute primitives are convolution, deconvolution, inner_product, matmul, rnn. `outside_onednn` is how
    many more compute operators the model has: they ran in Paddle's own FP32 kernels, which print nothing.
    `int8_share_by_count` is of both together; `int8_share_by_time` of the primitives, 0.0 when none ran.
    `announced_fp32`: by kind, how many of those that stayed FP32 the model's census names beforehand.
    """

    isa: str
    inferences: int
    compute_primitives: int
    int8_primitives: int
    int8_share_by_count: float
    int8_share_by_time: float
    reorders: int
    reorder_time_ms: float
    shares: tuple[PrimitiveShare, ...]
    fp32_layers: tuple[Fp32Layer, ...]
    outside_onednn: int = 0
    announced_fp32: dict[str, int] = field(default_factory=dict)

    @property
    def compute_operators(self) -> int:
        """What `int8_share_by_count` is of."""
        return self.compute_primitives + self.outside_onednn

    def counted(self) -> str:
        """`26 of 28 compute primitives`; of compute operators when some were not executed by oneDNN."""
        noun = "operators" if self.outside_onednn else "primitives"
        return f"{self.int8_primitives} of {self.compute_operators} compute {noun}"

    def aside(self) -> str:
        """What ran outside oneDNN and what was known to stay FP32, to go behind `counted`; "" for neither."""
        outside, announced = self.outside_onednn, self.announced_fp32
        kinds = ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in announced.items())
        told = f"; {outside} ran outside oneDNN, in Paddle's own FP32 kernels" if outside else ""
        return told + (f"; known beforehand to stay FP32: {kinds}" if kinds else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """PaddleSlim's simulation of the rounding, in FP32, beside the INT8 model on the same few samples.

    What INT8 loses beyond it is lost by the conversion or by a kernel. The two figures are those of the
    output that keeps least; `simulated_by_output_db` and `int8_by_output_db` are of each, in model order,
    None where an output has no signal to compare.
    """

    samples: int
    simulated_sqnr_db: float
    int8_sqnr_db: float
    simulated_by_output_db: tuple[float | None, ...] = ()
    int8_by_output_db: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputEvidence(JudgedOutput):
    """One output of INT8 beside FP32's, over all validation samples.

    `agreement` is the mean of the samples' scores for its kind, None where the kind has none; `sqnr_db` is
    None for whole numbers, which have no size, and for an output that FP32 leaves at 0. `judged_by` names the
    metrics that look at this output.
    """

    agreement: float | None
    sqnr_db: float | None
    judged_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeOutput:
    """An output of the FP32 baseline, on oneDNN, beside that of Paddle's own kernels.

    greatest_difference: of the greatest native value; of integers the share that differs, and no `sqnr_db`.
    """

    name: str
    greatest_difference: float
    sqnr_db: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeComparison:
    """The baseline's outputs on calibration data beside native ones; none, with the reason in `note`, where
    Paddle's own kernels cannot run the model."""

    samples: int
    outputs: tuple[NativeOutput, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsaEvidence:
    """Everything measured of one candidate on one instruction set.

    `simulation` is of the instruction set that serves, None on emulated ones and where Paddle has none.
    `agreement` of a sample is the least of its outputs', None when no output has a kind that can be compared;
    `sqnr_db` is that of the output that keeps least. `outputs` has the figures of each, in model order.
    `native` holds the baseline to Paddle's own kernels.
    """

    isa: IsaLevel
    emulated: bool
    metrics: tuple[MetricEvidence, ...]
    worst_class: ClassDrop | None
    agreement: float | None
    sqnr_db: float
    non_finite_outputs: int
    baseline_non_finite_outputs: int
    latency: LatencyEvidence
    audit: KernelAudit
    baseline_audit: KernelAudit
    load_ms: float
    baseline_load_ms: float
    peak_memory_bytes: int
    baseline_peak_memory_bytes: int
    outcomes: StoredPath
    log: Path
    simulation: Simulation | None = None
    outputs: tuple[OutputEvidence, ...] = ()
    native: NativeComparison | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateEvidence:
    """A candidate with its measurements on every instruction set that it is deployed to.

    `per_isa[0]` is the native one. `digest` is the deployable's, so a verdict is tied to its bytes.
    """

    candidate: Candidate
    digest: str
    size_bytes: int
    baseline_digest: str
    baseline_size_bytes: int
    validation_digest: str
    host: HostProfile
    per_isa: tuple[IsaEvidence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCandidate:
    """A candidate that could not be built or measured, with the message the user saw."""

    candidate: Candidate
    step: str
    error: str
