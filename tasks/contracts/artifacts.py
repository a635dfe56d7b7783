"""What one step hands to the next: paths, digests and small plain results, all frozen.

Every type is a dataclass of plain Python values, so that it crosses process boundaries, is a stable
cache key, and is written to JSON as it stands (`to_json`, `from_json`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from paddle_int8.tasks.contracts.keys import Incidental
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class PaddleRuntime:
    """Another version of Paddle Inference, and the Python of the environment that it is in."""

    version: str
    python: Incidental[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedBand:
    """The range of FP32/INT8 speed-ups that the published procedure promises for an instruction set."""

    low: float
    high: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProfile:
    """The host that quantizes and measures.

    isa: the instruction set that runs: the lower of what the CPU's flags promise and what oneDNN reports.
    onednn_isa: what oneDNN itself reports.
    usable_cores: CPUs that this process may use at once, after affinity and cgroup quotas.
    band: the published range of speed-ups; None where the procedure names none.
    emulates: lower instruction sets to which oneDNN can be limited here.
    """

    hostname: Incidental[str]
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
    """An input or output of a model. `shape` has -1 for each free dimension.

    sequence: whether its rows are the time steps of sequences of different lengths (Paddle's LoD level 1),
    one sequence after another.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    sequence: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCensus:
    """How many operators of each type a program has, and how many of them INT8 can reach.

    compute: operators that compute, such as convolutions; `quantizable` of them can run in INT8.
    never: types of compute operators that oneDNN cannot run in INT8, with the reason.
    nested: how many of the quantizable operators are in the bodies of loops and branches.
    """

    counts: dict[str, int]
    quantizable: int
    compute: int
    never: dict[str, str] = field(default_factory=dict)
    nested: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArtifact:
    """An FP32 model in the store, as `model.pdmodel` + `model.pdiparams` in `folder`.

    digest: of the content, which is the program and its parameters.
    source_digest: of the files that the user gave.
    repairs: the graph rewrites that were applied, with how often each one matched.
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
    """The drawn samples in the store: one `<input name>.npy` for each model input, and `labels.npy`.

    The file of a sequence input holds the time steps of all samples [steps, ...], and
    `<input name>.lengths.npy` [N] says how many of them each sample has. There may be one label for each time
    step; these are padded with -1.

    The arrays hold what was read, before normalisation: images stay uint8 [N, H, W, C]. The reader applies
    `preprocessing.json` to each batch. `sample_digests` in `samples.json` holds the SHA-256 of each sample.

    class_names: names of the class folders, by label.
    left_out: how many items of the source were not taken, by reason.
    notes: sentences about what was left out, and about whatever else was assumed and is not obvious.
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


Override = tuple[str, str]
"""(output tensor of an operator, precision): `fp32` and `bf16` keep the operator out of the quantization.

With `bf16`, all that is not INT8 runs in BF16 on CPUs that have it, and in FP32 on others."""
FP32, BF16 = "fp32", "bf16"
"""The precisions of overrides."""


GIVEN = "given"
"""What stands in the place of an algorithm for a model that was quantized elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to quantize: the point that a strategy asks for.

    algorithm, layout: names in the registries of algorithms and of layouts.
    overrides: operators that are made differently from the rest. Their order does not matter.
    given: the name of a model that was quantized elsewhere, whose algorithm is `GIVEN`; else "".
    """

    algorithm: str
    layout: str
    overrides: tuple[Override, ...] = ()
    given: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "overrides", tuple(sorted(set(self.overrides))))

    @property
    def name(self) -> str:
        """`hist-offline`, or with overrides `hist-offline-2kept-5f3a9c1b`: their number and a digest.

        Where the operators are kept in BF16, the name says so: `hist-offline-2bf16-0c41d8e7`.
        A given model has its own name in the place of the algorithm's: `mobilenet_slim-offline`.
        """
        plain = f"{self.given or self.algorithm}-{self.layout}"
        if not self.overrides:
            return plain
        digest = hashlib.sha256(repr(self.overrides).encode()).hexdigest()[:8]
        return f"{plain}-{len(self.overrides)}{BF16 if self.in_bf16 else 'kept'}-{digest}"

    @property
    def in_bf16(self) -> bool:
        """Whether what is not INT8 runs in BF16, on CPUs that have it."""
        return any(precision == BF16 for _, precision in self.overrides)

    @property
    def kept_in(self) -> str:
        """The precision of what is kept out of INT8, for people."""
        return (BF16 if self.in_bf16 else FP32).upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetunedArtifact:
    """The result of quantization-aware training: the trained model, still FP32, and its learned scales.

    folder: also holds `scales.json` (tensor to threshold) and `history.json` (loss and accuracy by step).
    resumed_from: how many steps an earlier, killed run had already done.
    """

    folder: StoredPath
    digest: str
    steps: int
    resumed_from: Incidental[int]
    seconds: Incidental[float]
    peak_memory_bytes: Incidental[int]
    log: Incidental[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedArtifact:
    """What a calibration observed of the FP32 model's activations, in `folder`: every candidate's algorithm
    finds its thresholds in it.
    """

    kind: Observed
    folder: StoredPath
    digest: str
    tensors: int
    seconds: Incidental[float]
    log: Incidental[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenModel:
    """A model that was quantized elsewhere.

    source: the path that the user gave. form: how it is quantized, in words.
    layers: how many layers its program has; `quantized` of them are to run in INT8.
    converted: whether it needs no conversion, as it is in its candidate's layout already.
    findings: sentences about what is wrong with it.
    """

    source: Incidental[str]
    form: str
    layers: int
    quantized: int
    converted: bool
    findings: Incidental[tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedArtifact:
    """What the quantizer wrote, in the form that the candidate's layout takes (`QuantizedForm`).

    `scales.json` in `folder` maps each tensor to its calibrated threshold (float or list of floats).
    `operators` are the output tensors of the quantized operators, in the order of the program: the names that
    a candidate's overrides may have.
    given: what is known of a model that was quantized elsewhere, else None.
    """

    candidate: Candidate
    folder: StoredPath
    digest: str
    quantized_ops: dict[str, int]
    tensors_calibrated: int
    seconds: Incidental[float]
    peak_memory_bytes: Incidental[int]
    log: Incidental[Path]
    operators: tuple[str, ...] = ()
    given: GivenModel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployableArtifact:
    """A model that the engine of its candidate's layout runs as INT8, in `folder`.

    quantized: the folder of the quantized model that it was converted from; None where that model does not
    simulate the rounding.
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
    """The outputs of the FP32 baseline for every validation sample, on one instruction set.

    folder: holds one file, which `tasks.validation.comparison.write_outputs` writes.
    """

    folder: StoredPath
    digest: str
    log: Incidental[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Everything that serving needs: model files, `deployment.json`, an example input and code snippets."""

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
