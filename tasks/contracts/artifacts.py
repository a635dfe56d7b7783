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
from paddle_int8.tasks.contracts.vocabulary import IsaLevel


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


Override = tuple[str, str]
"""(output tensor of an operator, precision): `fp32` keeps the operator out of the quantization."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to quantize: the point that a strategy asks for.

    algorithm, layout: names in the registries of algorithms and of layouts.
    overrides: operators that are made otherwise than the rest. Their order counts for nothing.
    """

    algorithm: str
    layout: str
    overrides: tuple[Override, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "overrides", tuple(sorted(set(self.overrides))))

    @property
    def name(self) -> str:
        """`hist-offline`, or with overrides `hist-offline-2kept-5f3a9c1b`: their number and a digest."""
        plain = f"{self.algorithm}-{self.layout}"
        if not self.overrides:
            return plain
        digest = hashlib.sha256(repr(self.overrides).encode()).hexdigest()[:8]
        return f"{plain}-{len(self.overrides)}kept-{digest}"


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
    """What the quantizer wrote, in the form that the candidate's layout takes (`QuantizedForm`).

    `scales.json` in `folder` maps each tensor to its calibrated threshold (float or list of floats).
    `operators` are the output tensors of the quantized operators, in the order of the program: the names that
    a candidate's overrides may have.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployableArtifact:
    """A model that the engine of its candidate's layout runs as INT8, in `folder`.

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

    `folder` holds one file, as `tasks.validation.comparison.write_outputs` writes it.
    """

    folder: StoredPath
    digest: str
    log: Incidental[Path]


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
