"""The evidence: everything that is measured on a candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from paddle_int8.tasks.contracts.artifacts import Candidate, HostProfile
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, OutputKind
from paddle_int8.tasks.contracts.wording import counted


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign. A number that rounds to zero has none."""
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedOutput:
    """How one output of INT8 is compared with that of FP32.

    kind: what the output holds; `why` says in words how that was found.
    axis: the axis along which the scores of one decision lie; the highest one decides.
    threshold: a score that decides alone means yes above it.
    labelled: whether the labels of the data belong to this output.
    sequence: as in `TensorSpec`.
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
    """The latency of one batch in one predictor, and its throughput in samples per second."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    repeats: int
    throughput_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRatio:
    """How many times faster the candidate is: another model's median latency over the candidate's.

    low, high: the two-sided interval of `ratio` at `confidence`.
    processes: how many processes it was measured in. With one, the interval describes that process alone.
    allowance: by how much of `ratio` the ends were moved apart for what disturbed the measurement: 0.1 means
    that `low` was divided, and `high` multiplied, by 1.1.
    """

    ratio: float
    low: float
    high: float
    confidence: float
    processes: int = 1
    allowance: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """What else the host did while latency was timed. Shares lie between 0 and 1.

    seconds: how long was timed, in all processes together.
    others_share: share of the CPU time of the whole host that other processes used.
    steal_share: share that the hypervisor took from the CPUs on which was timed.
    waited_share: share of `seconds` in which a timed thread was ready and waited for a CPU. It is not part of
    the timings.
    throttled_share: share of `seconds` in which the quota of a cgroup held the process back.
    pressure_share: share of `seconds` in which some process of the host waited for a CPU; None where the
    kernel does not tell.
    load: the mean number of processes that ran or waited to run, over the minute before.
    lowest_mhz, highest_mhz: the clock of the CPUs on which was timed; None where it cannot be read.
    """

    seconds: float
    others_share: float
    steal_share: float
    waited_share: float
    throttled_share: float
    pressure_share: float | None
    load: float
    lowest_mhz: float | None
    highest_mhz: float | None

    @property
    def taken_share(self) -> float:
        """The share of the time in which the host, or this process's part of it, was taken by others."""
        return min(1.0, max(self.others_share, self.waited_share, self.throttled_share) + self.steal_share)

    def described(self) -> str:
        """Example: `the host was taken for 47 % of the time`, with the parts in brackets that matter."""
        parts = {
            "other processes": self.others_share,
            "the hypervisor": self.steal_share,
            "the CPU quota": self.throttled_share,
        }
        by = ", ".join(f"{name} {100 * share:.0f} %" for name, share in parts.items() if share >= 0.01)
        return f"the host was taken for {100 * self.taken_share:.0f} % of the time" + (
            f" ({by})" if by else ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyEvidence:
    """Latencies of baseline, candidate and references, measured in turns on the same host.

    They were measured in several processes, one after another. In each round of a process each model has one
    turn: at most `warmup` untimed calls, then `calls` timed ones.
    samples_ms: the timings of all processes by subject: "baseline", "candidate", "native_fp32", "bf16". Time
    in which a thread waited for a CPU is left out. Each process has equally many.
    speedup: the candidate over the baseline.
    native_speedup: the candidate over Paddle's own FP32 kernels; None where they were not timed.
    skipped: subjects that this CPU cannot run, with the reason; they are absent from the other fields.
    disturbance: what else the host did; None in evidence of before this was measured.
    """

    threads: int
    batch_size: int
    warmup: int
    calls: int
    summaries: dict[str, LatencySummary]
    samples_ms: dict[str, tuple[float, ...]]
    speedup: SpeedRatio
    native_speedup: SpeedRatio | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    disturbance: Disturbance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What an upper bound pays because several candidates were compared on the same samples.

    candidates: how many of them could have been chosen.
    confidence: the confidence of the corrected bound. It is so high that the bounds of all these candidates
    hold together with the confidence that the gate asks for.
    alone_upper_pp: the upper bound that this candidate would have if it were the only one.
    """

    candidates: int
    confidence: float
    alone_upper_pp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEvidence:
    """One metric of baseline and candidate on the same samples.

    baseline, candidate: mean scores between 0 and 1.
    drop_pp: baseline minus candidate in percentage points; positive when the candidate is worse.
    drop_lower_pp, drop_upper_pp: one-sided confidence bounds of the drop, each at `confidence`. After the
    gate corrected for several candidates, the upper one has the confidence of `correction`.
    lost, gained: samples that only FP32, or only INT8, has right. None when scores are not just 0 and 1.
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
    correction: Correction | None = None

    @property
    def upper_confidence(self) -> float:
        """The confidence of `drop_upper_pp`."""
        return self.correction.confidence if self.correction else self.confidence

    @property
    def change(self) -> str:
        """INT8's change in percentage points, with its sign: `-0.85`; `0.00` for what rounds to nothing."""
        return signed(-self.drop_pp)

    @property
    def title(self) -> str:
        """The name for display: of `package.module:function` only the function."""
        return self.name.rpartition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDrop:
    """The class that loses most in the first metric. `drop_pp` is positive when the candidate is worse."""

    label: int
    samples: int
    drop_pp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimitiveShare:
    """The oneDNN primitives of one kind and number type: how many ran in one inference, and how long."""

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
    """What oneDNN executed according to its own verbose log.

    Compute primitives are convolution, deconvolution, inner_product, matmul and rnn.
    outside_onednn: compute operators that oneDNN did not log. They ran in Paddle's own FP32 kernels.
    int8_share_by_count: share of the compute operators, logged or not, that ran in INT8.
    int8_share_by_time: share of the compute primitives' time that was spent in INT8; 0.0 when none ran.
    announced_fp32: by kind, how many of the operators that stayed FP32 the model's census had announced.
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
        """The number of compute operators, of which `int8_share_by_count` is a share."""
        return self.compute_primitives + self.outside_onednn

    def counted(self) -> str:
        """`26 of 28 compute primitives`; of compute operators when some were not executed by oneDNN."""
        noun = "operators" if self.outside_onednn else "primitives"
        return f"{self.int8_primitives} of {self.compute_operators} compute {noun}"

    def aside(self) -> str:
        """What ran outside oneDNN and what was known to stay FP32, to go behind `counted`; "" for neither."""
        outside, announced = self.outside_onednn, self.announced_fp32
        kinds = ", ".join(counted(count, kind) for kind, count in announced.items())
        told = f"; {outside} ran outside oneDNN, in Paddle's own FP32 kernels" if outside else ""
        return told + (f"; known beforehand to stay FP32: {kinds}" if kinds else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """PaddleSlim's FP32 simulation of the rounding compared with the INT8 model, on the same few samples.

    What INT8 loses beyond the simulation is lost by the conversion or by a kernel.
    simulated_sqnr_db, int8_sqnr_db: ratio of signal to quantization noise in the output where it is lowest.
    simulated_by_output_db, int8_by_output_db: the same for each output in the model's order; None where an
    output has no signal to compare.
    """

    samples: int
    simulated_sqnr_db: float
    int8_sqnr_db: float
    simulated_by_output_db: tuple[float | None, ...] = ()
    int8_by_output_db: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputEvidence(JudgedOutput):
    """One output of INT8 compared with that of FP32, over all validation samples.

    agreement: mean score of the samples, defined by the output's kind; None for kinds without a score.
    sqnr_db: ratio of signal to quantization noise. None for whole numbers, whose size means nothing, and for
    an output that is 0 throughout in FP32.
    judged_by: the metrics that look at this output.
    commonest: share of FP32's most frequent decision among all its decisions; None for kinds that decide
    nothing.
    """

    agreement: float | None
    sqnr_db: float | None
    judged_by: tuple[str, ...]
    commonest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeOutput:
    """One output of the FP32 baseline on oneDNN, compared with the same output of Paddle's own kernels.

    greatest_difference: as a fraction of the greatest native value. For integers it is the share that
    differs, and `sqnr_db` is None.
    """

    name: str
    greatest_difference: float
    sqnr_db: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeComparison:
    """The baseline's outputs compared with those of Paddle's own kernels, on calibration data.

    There are none where those kernels cannot run the model; `note` then says why.
    """

    samples: int
    outputs: tuple[NativeOutput, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsaEvidence:
    """Everything measured on one candidate on one instruction set.

    emulated: whether this host serves on another instruction set, and oneDNN was limited to this one only to
    measure. The set that serves is the host's own, or the lower `validation.max_isa`.
    agreement: mean over the samples, where a sample has the lowest score of its outputs; None when no output
    is of a kind that can be compared.
    sqnr_db: ratio of signal to quantization noise of the output where it is lowest.
    outcomes: the file with the scores of every sample, and the classes that FP32 and INT8 decided.
    simulation: measured only on the instruction set that serves; None on emulated ones, and where Paddle has
    no simulation.
    outputs: the figures of each output, in the model's order.
    native: how the baseline compares with Paddle's own kernels.
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
class RuntimeEvidence:
    """What was measured of a candidate with another Paddle, on the instruction set that serves.

    measured: None where the model does not run there; `error` then says why. Its accuracy is compared with
    FP32 in the Paddle of the release.
    """

    paddle: str
    measured: IsaEvidence | None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateEvidence:
    """One candidate with its measurements on every instruction set that it is deployed to.

    per_isa: the instruction set that serves on this host comes first, emulated ones follow.
    runtimes: other versions of Paddle Inference, with what was measured with each.
    digest: that of the deployable model, so that a verdict is tied to the bytes that were measured.
    """

    candidate: Candidate
    digest: str
    size_bytes: int
    baseline_digest: str
    baseline_size_bytes: int
    validation_digest: str
    host: HostProfile
    per_isa: tuple[IsaEvidence, ...]
    runtimes: tuple[RuntimeEvidence, ...] = ()

    @property
    def everywhere(self) -> tuple[IsaEvidence, ...]:
        """All measurements: on each instruction set, and with each other Paddle."""
        return self.per_isa + tuple(each.measured for each in self.runtimes if each.measured)

    def measured_as(self, items: Sequence[IsaEvidence]) -> CandidateEvidence:
        """The same with other measurements, in the order of `everywhere`."""
        rest = iter(items[len(self.per_isa) :])
        runtimes = tuple(
            replace(each, measured=next(rest)) if each.measured else each for each in self.runtimes
        )
        return replace(self, per_isa=tuple(items[: len(self.per_isa)]), runtimes=runtimes)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCandidate:
    """A candidate that could not be built or measured, the step that failed, and the message the user saw."""

    candidate: Candidate
    step: str
    error: str
