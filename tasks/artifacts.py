"""What passes between steps: paths, digests and small plain results, all frozen.

Every type is a dataclass of plain Python values, so that it crosses process boundaries, is a stable
cache key, and is written to JSON as it stands (`to_json`, `from_json`). A field that is `Incidental` is
part of no key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from paddle_int8.tasks.keys import Incidental
from paddle_int8.tasks.stored_path import StoredPath

T = TypeVar("T")


class IsaLevel(StrEnum):
    """Instruction sets that change INT8 speed or accuracy, in oneDNN's own names."""

    SSE41 = "sse41"
    AVX = "avx"
    AVX2 = "avx2"
    AVX2_VNNI = "avx2_vnni"
    AVX512_CORE = "avx512_core"
    AVX512_CORE_VNNI = "avx512_core_vnni"
    AVX512_CORE_BF16 = "avx512_core_bf16"
    AVX512_CORE_AMX = "avx512_core_amx"


class Layout(StrEnum):
    """How a quantized model is packed, and so which engine features run it."""

    OFFLINE = "offline"
    OFFLINE_7BIT = "offline_7bit"
    QDQ = "qdq"
    RECURRENT = "recurrent"


class Algorithm(StrEnum):
    """How scales are found: PaddleSlim's post-training algorithms by its names, or by training on (`qat`)."""

    KL = "KL"
    HIST = "hist"
    AVG = "avg"
    MSE = "mse"
    EMD = "emd"
    ABS_MAX = "abs_max"
    MIN_MAX = "min_max"
    PTF = "ptf"
    QAT = "qat"


POST_TRAINING = tuple(algorithm for algorithm in Algorithm if algorithm is not Algorithm.QAT)
"""Algorithms that need no training."""


class OutputKind(StrEnum):
    """What one output of a model holds, and so how INT8 is compared with FP32 in it."""

    CLASSES = "classes"
    STEPS = "steps"
    PIXELS = "pixels"
    FLAGS = "flags"
    EMBEDDING = "embedding"
    BOXES = "boxes"
    DECISIONS = "decisions"
    CONSTANT = "constant"
    OTHER = "other"
    IGNORE = "ignore"


class Outcome(StrEnum):
    """What the gate says, of one criterion and of the whole."""

    APPROVED = "approved"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedBand:
    """FP32/INT8 speed-up that the published procedure promises for an instruction set."""

    low: float
    high: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProfile:
    """The CPU that quantizes and measures. `onednn_isa` is what oneDNN itself reports."""

    hostname: str
    cpu_model: str
    microarchitecture: str
    flags: tuple[str, ...]
    isa: IsaLevel
    onednn_isa: str
    onednn_version: str
    full_avx512: bool
    cores: int
    usable_cores: float
    memory_bytes: int
    band: SpeedBand | None
    emulates: tuple[IsaLevel, ...]
    warnings: Incidental[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """An input or output of a model. `shape` has -1 where a dimension is free.

    `sequence`: the rows are steps of sequences of different lengths (LoD level 1), one after another.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    sequence: bool = False


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
class OperatorCensus:
    """Operator counts of a program, and how much of its compute INT8 can reach.

    `never` names compute operators that oneDNN cannot run in INT8, with the reason. `nested` of the
    `quantizable` ones are in the bodies of loops and branches.
    """

    counts: dict[str, int]
    quantizable: int
    compute: int
    never: dict[str, str] = field(default_factory=dict)
    nested: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArtifact:
    """An FP32 model in the store, as `model.pdmodel` + `model.pdiparams` in `folder`.

    `digest` is of the content (program and parameters), `source_digest` of the files that the user
    gave. `repairs` names the graph rewrites applied, with how often each matched.
    """

    folder: StoredPath
    digest: str
    source: Incidental[str]
    source_format: Incidental[str]
    source_digest: Incidental[str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    census: OperatorCensus
    repairs: Incidental[dict[str, int]]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetArtifact:
    """Drawn samples in the store: one `<input name>.npy` per model input, and `labels.npy`.

    Of a sequence input the file holds the steps of all samples [steps, ...], and
    `<input name>.lengths.npy` how many each sample has; labels may be one a step, padded with -1.

    The arrays hold what was read, before normalisation (images stay uint8 [N, H, W, C]); the reader
    applies `preprocessing.json` on each batch. `sample_digests` in `samples.json` are SHA-256 of each
    sample's content.

    `class_names` are those of class folders, by label. `left_out` counts what the source holds and was not
    taken, by reason; `notes` say it in words, with all that was understood and is not obvious.
    """

    folder: StoredPath
    digest: str
    source: Incidental[str]
    samples: int
    classes: int
    seed: int
    labelled: bool
    class_names: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to quantize: the point of the grid that a strategy asks for."""

    algorithm: Algorithm
    layout: Layout

    @property
    def name(self) -> str:
        return f"{self.algorithm.value}-{self.layout.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetunedArtifact:
    """What quantization-aware training made of a model: the model itself, still FP32, and learned scales.

    `folder` also holds `scales.json` (tensor to threshold) and `history.json` (loss and accuracy of each
    step). `resumed_from` counts the steps that a killed run had done.
    """

    folder: StoredPath
    digest: str
    steps: int
    resumed_from: Incidental[int]
    seconds: Incidental[float]
    peak_memory_bytes: Incidental[int]
    log: Incidental[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedArtifact:
    """What PaddleSlim wrote: fake-quant format for `offline`, QDQ for `qdq`. For `recurrent`, the FP32 model.

    `scales.json` in `folder` maps each tensor to its calibrated threshold (float or list of floats).
    """

    candidate: Candidate
    folder: StoredPath
    digest: str
    quantized_ops: dict[str, int]
    tensors_calibrated: int
    seconds: Incidental[float]
    peak_memory_bytes: Incidental[int]
    log: Incidental[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployableArtifact:
    """A model that Paddle Inference runs as INT8, as `model.pdmodel` + `model.pdiparams` in `folder`.

    `quantized` is the model that it was made of, None where nothing in that one simulates the rounding.
    """

    candidate: Candidate
    folder: StoredPath
    digest: str
    size_bytes: int
    int8_ops: dict[str, int]
    seconds: Incidental[float]
    log: Incidental[Path]
    quantized: StoredPath | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineOutputsArtifact:
    """What the FP32 baseline answers to every validation sample on one instruction set.

    `folder` holds one file, as `paddle_int8.tasks.validation.comparison.write_outputs` writes it.
    """

    folder: StoredPath
    digest: str
    log: Incidental[Path]


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
class Bundle:
    """What serving needs and nothing else: model files, `deployment.json`, example input, snippets."""

    folder: StoredPath
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """A model version in MLflow's registry."""

    name: str
    version: str
    alias: str
    uri: str


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


def to_json(value: Any) -> str:
    """JSON of any dataclass above, indented, keys in field order."""
    return TypeAdapter(type(value)).dump_json(value, indent=2).decode()


def from_json(kind: type[T], text: str | bytes) -> T:
    """The dataclass back from `to_json`."""
    return TypeAdapter(kind).validate_json(text)
