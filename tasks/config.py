"""What to do: the release's configuration.

Only the model and the data are required; every other field has the default a careful engineer would
choose.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.keys import Incidental
from paddle_int8.tasks.contracts.suggestion import did_you_mean
from paddle_int8.tasks.contracts.vocabulary import Algorithm, IsaLevel, Layout, OutputKind
from paddle_int8.tasks.spoken import (
    CALLABLE,
    CallableName,
    FolderName,
    MetricNames,
    MismatchError,
    Objective,
    RegisteredUri,
    ReleaseName,
    Spoken,
)

METRICS = ("top1", "top5", "agreement")

RECURRENT_ALGORITHMS = (Algorithm.ABS_MAX, Algorithm.AVG, Algorithm.HIST, Algorithm.KL)

HIGHEST_SEED = 2**32 - 1
"""What NumPy's older generators take, which PaddleSlim draws with."""
Pixels = Annotated[int, Field(ge=1)]
Limit = Incidental[float]
"""Seconds after which a step is ended."""


def _draw(schema: dict[str, Any]) -> None:
    """Makes of the schema what Prefect's run form can draw.

    Its database gives the keys of a nested schema back in another order, so each field gets its place; and
    it draws a choice among models as `anyOf` only, where pydantic says `oneOf`.
    """
    for position, field in enumerate(schema.get("properties", {}).values()):
        field["position"] = position
        if "const" in field:
            field["default"] = field["const"]  # the form shows a constant, but sends defaults only
        if "oneOf" in field:
            field["anyOf"] = field.pop("oneOf")
            field.pop("discriminator", None)


class Section(BaseModel):
    """Strict and immutable: an unknown key is an error, a loaded configuration does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, json_schema_extra=_draw)


class HardwarePolicy(StrEnum):
    """What to do on a host below the required instruction set."""

    REQUIRE = "require"
    WARN = "warn"
    IGNORE = "ignore"


class HardwareConfig(Section):
    policy: HardwarePolicy = Field(
        default=HardwarePolicy.WARN, description="On a host below `minimum_isa`: stop, warn, or ignore."
    )
    minimum_isa: IsaLevel = Field(
        default=IsaLevel.AVX512_CORE, description="Lowest instruction set that this release is for."
    )


class ModelFiles(Section):
    """A trained FP32 model on disk: a directory, or a `.pdmodel` / `__model__` file."""

    model_config = ConfigDict(title="Model files")

    path: Path = Field(description="Folder of the model, or its `.pdmodel` or `__model__` file.")
    model_filename: str | None = Field(default=None, description="Program file, when not guessable.")
    params_filename: str | None = Field(default=None, description="Parameter file of a combined model.")


class TrainedModel(Section):
    """A model that a training entry point makes: `function(folder, progress, **arguments)`.

    It writes `model.pdmodel` and `model.pdiparams` into `folder`; the result is cached on the
    function's source, its arguments and the versions in use.
    """

    model_config = ConfigDict(title="Training function")

    train: CallableName = Field(description="`package.module:function` that trains and exports the model.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Passed to the function by name.")


class RegisteredModel(Section):
    """A trained FP32 model in MLflow's registry, as Paddle's own files among a version's artifacts.

    `models:/name@alias` or `models:/name/version`. Nothing is unpickled: only files that Paddle reads are
    fetched. The version that an alias points at is looked up when the release starts.
    """

    model_config = ConfigDict(title="Registered model")

    registered: RegisteredUri = Field(
        description="`models:/name@alias` or `models:/name/version` in MLflow's registry."
    )
    folder: FolderName = Field(
        default="",
        description="Of the version's artifacts, where the model lies in one.",
    )
    model_filename: str | None = Field(default=None, description="Program file, when not guessable.")
    params_filename: str | None = Field(default=None, description="Parameter file of a combined model.")


class ImageFolderSource(Section):
    """Images under `root`; `list_file` has one `relative/path label` a line (label optional).

    Without a list file, every image of `root/<class>/` is taken, classes numbered in sorted order; a
    root without folders gives its own images, without labels. A photograph is turned as its EXIF
    orientation says. Of 16-bit pixels the upper byte counts, and an alpha channel does not.
    """

    model_config = ConfigDict(title="Image folder")

    kind: Literal["image_folder"] = Field(description="Images in folders.")
    root: Path = Field(description="Folder of the images.")
    list_file: Path | None = Field(
        default=None, description="One `relative/path label` a line; without it, folders are the classes."
    )


class NpzSource(Section):
    """A NumPy `.npz`: one array per model input by name (or one array for a single input) and labels."""

    model_config = ConfigDict(title="NumPy archive")

    kind: Literal["npz"] = Field(description="A NumPy archive.")
    path: Path = Field(description="The `.npz` file.")
    labels: str = Field(
        default="labels", description="Name of the array of labels; `labels` itself may be missing."
    )


class IdxSource(Section):
    """IDX files as MNIST and Fashion-MNIST ship them, gzipped or not."""

    model_config = ConfigDict(title="IDX files")

    kind: Literal["idx"] = Field(description="IDX files, as MNIST's.")
    images: Path = Field(description="IDX file of the pictures.")
    labels: Path | None = Field(default=None, description="IDX file of the labels.")


class TaggedTextSource(Section):
    """Lines of `word/tag word/tag`, each a sequence of character ids with a label a character.

    With `words` a step is a word of that dictionary where the vocabulary has it, as LAC's `lac_model` takes
    it; its label is that of its first character.

    With `-B -I -E -S` in `tags` a label is the character's place in its word (S alone, else begin, inside,
    end); otherwise it is the word's tag with `-B` or `-I` behind it, `O` where `tags` has none.
    """

    model_config = ConfigDict(title="Tagged text")

    kind: Literal["tagged_text"] = Field(description="Text with a tag a word.")
    corpus: Path = Field(
        description="The text, UTF-8, `word/tag` separated by blanks; empty lines are skipped."
    )
    vocabulary: Path = Field(description="`id<TAB>character` lines.")
    tags: Path = Field(description="`id<TAB>tag` lines.")
    replacements: Path | None = Field(
        default=None,
        description="`from<TAB>to` lines, applied to each character, such as full to half width.",
    )
    words: Path | None = Field(
        default=None,
        description="`word count` lines, a dictionary to cut the text by; without it a step is a character.",
    )
    unknown: str = Field(default="OOV", description="Entry of the vocabulary for every other character.")
    first_line: int = Field(default=1, ge=1, description="Of the corpus, from 1.")
    last_line: int | None = Field(default=None, ge=1, description="None takes all to the end.")


class CallableSource(Section):
    """`function(**arguments)` returns `(inputs, labels)`.

    inputs: an array [N, ...] or a dict of them by input name, of a sequence input a list of N arrays
    [length, ...]; labels: int [N], a list of N arrays of labels, or None. Paths among the arguments reach
    the function as they stand.
    """

    model_config = ConfigDict(title="Python function")

    kind: Literal["callable"] = Field(description="A Python function.")
    function: CallableName = Field(description="`package.module:function` that returns `(inputs, labels)`.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Passed to the function by name.")


Source = Annotated[
    ImageFolderSource | NpzSource | IdxSource | TaggedTextSource | CallableSource,
    Field(discriminator="kind"),
]


class Preprocessing(Section):
    """From what was read to what the model takes, the same for every input.

    A sample [H, W, 1 or 3], whatever its dtype, is a picture with its channels last.
    """

    resize_shorter: Pixels | None = Field(default=None, description="Shorter side, in pixels.")
    resize: Annotated[tuple[Pixels, Pixels] | None, Spoken("[height, width] in pixels")] = Field(
        default=None, description="Exact [height, width]."
    )
    center_crop: Pixels | None = Field(default=None, description="Side of the square, in pixels.")
    grayscale: bool = Field(default=False, description="One channel instead of RGB, images only.")
    scale: float = Field(default=1.0, gt=0, description="Multiplies the raw values, e.g. 0.00392157.")
    mean: tuple[float, ...] = Field(default=(), description="Per channel, subtracted after `scale`.")
    std: tuple[float, ...] = Field(default=(), description="Per channel, divides after `mean`.")
    layout: Literal["NCHW", "NHWC", "as_is"] = Field(
        default="NCHW", description="Of the model's input; pictures are transposed for NCHW only."
    )
    dtype: Literal["float32", "int64", "int32", "uint8", "as_is"] = Field(
        default="float32", description="Of the model's input."
    )

    @model_validator(mode="after")
    def _possible(self) -> Preprocessing:
        if self.resize and self.resize_shorter:
            raise ValueError("`resize` and `resize_shorter` exclude each other")
        side = min(self.resize) if self.resize else self.resize_shorter
        if self.center_crop and side and self.center_crop > side:
            raise ValueError(f"`center_crop: {self.center_crop}` is more than the {side} pixels there are")
        if self.std and any(value <= 0 for value in self.std):
            raise ValueError("`std` must be positive in every channel")
        counts = {name: len(getattr(self, name)) for name in ("mean", "std") if len(getattr(self, name)) > 1}
        if len(set(counts.values())) > 1:
            raise MismatchError(
                f"`mean` has {len(self.mean)} numbers and `std` {len(self.std)}",
                "one number for each channel in both, or one for all channels",
            )
        if self.grayscale and counts:
            raise MismatchError(
                f"`{next(iter(counts))}` has several numbers, and `grayscale` leaves one channel",
                "one number in `mean` and in `std`, or no `grayscale`",
            )
        return self


class DataConfig(Section):
    calibration: Source = Field(description="Samples that set the INT8 scales; none of validation's.")
    validation: Source = Field(description="Labelled samples that accuracy is measured on.")
    preprocessing: Preprocessing = Field(
        default=Preprocessing(), description="From what was read to what the model takes."
    )
    calibration_samples: int = Field(default=64, ge=1, description="Drawn, stratified by label.")
    validation_samples: int | None = Field(default=None, ge=1, description="None takes all.")
    calibration_batch_size: int = Field(default=8, ge=1, description="Samples in one pass of calibration.")
    seed: int = Field(default=0, ge=0, le=HIGHEST_SEED, description="Of the draw.")


class QatConfig(Section):
    """PaddleSlim's `quant_aware`: training on from the FP32 model, with its rounding simulated."""

    # the training knows the samples that were drawn by their digest
    data: Incidental[Source] = Field(
        description="Labelled training samples; none of them may be among the validation's."
    )
    samples: Incidental[int | None] = Field(default=None, ge=1, description="None takes all.")
    objective: Objective = Field(
        default="cross_entropy",
        description="`cross_entropy`, or `package.module:function` of (outputs, label) -> loss variable.",
    )
    epochs: int = Field(default=1, ge=1, description="Times that each sample is seen.")
    batch_size: int = Field(default=32, ge=1, description="Samples in a training step.")
    learning_rate: float = Field(default=1e-4, gt=0, description="Peak of a cosine schedule, Adam.")
    activation_quantize_type: Literal["moving_average_abs_max", "range_abs_max", "abs_max"] = Field(
        default="moving_average_abs_max", description="How the scale of an activation is learned."
    )
    freeze_batch_norm: bool = Field(default=True, description="Keep BatchNorm's statistics as exported.")
    checkpoint_every_s: Incidental[float] = Field(
        default=60, ge=0, description="Seconds between checkpoints, from which a killed run goes on."
    )
    seed: int = Field(default=0, ge=0, le=HIGHEST_SEED, description="Of the order of the samples.")
    timeout_s: Limit = Field(default=24 * 3600, gt=0, description="Limit of the training, in seconds.")


class QuantizationConfig(Section):
    """PaddleSlim's `quant_post_static`, and `quant_aware` where `algorithms` has `qat`."""

    algorithms: tuple[Algorithm, ...] = Field(
        default=(Algorithm.HIST, Algorithm.KL, Algorithm.AVG),
        min_length=1,
        description="Ways to find the scales; each is a candidate in each layout.",
    )
    layouts: tuple[Layout, ...] = Field(
        default=(Layout.OFFLINE, Layout.QDQ),
        min_length=1,
        description="INT8 graph made here (`offline`; `offline_7bit` for CPUs without VNNI; of GRU and LSTM "
        "`recurrent`), or by Paddle Inference at load (`qdq`).",
    )
    op_types: tuple[str, ...] = Field(
        default=("conv2d", "depthwise_conv2d", "mul", "matmul", "matmul_v2"),
        min_length=1,
        description="Operators to quantize.",
    )
    skip_tensors: tuple[str, ...] = Field(
        default=(), description="Operators that read one of these tensors stay FP32."
    )
    round_type: Literal["round", "adaround"] = Field(
        default="round", description="Of the weights; adaround learns which way, slowly. `qat` rounds."
    )
    bias_correction: bool = Field(
        default=False, description="Restore the weights' mean after rounding, but for `qat`."
    )
    weight_quantize_type: Literal["channel_wise_abs_max", "abs_max"] = Field(
        default="channel_wise_abs_max", description="One scale a channel, or one a tensor."
    )
    hist_percent: float = Field(
        default=0.9999, gt=0, le=1, description="Share of the values that `hist` does not clip."
    )
    fast_calibration: bool = Field(
        default=True, description="This project's KL and histogram code; thresholds bit-equal."
    )
    timeout_s: Limit = Field(default=3600, gt=0, description="Limit of one candidate, in seconds.")
    qat: QatConfig | None = Field(default=None, description="Training for the algorithm `qat`, below.")

    @model_validator(mode="after")
    def _training_is_described(self) -> QuantizationConfig:
        if (Algorithm.QAT in self.algorithms) != (self.qat is not None):
            raise ValueError("the algorithm `qat` and the section `quantization.qat` need each other")
        return self

    def candidates(self) -> tuple[Candidate, ...]:
        """The grid, algorithms first."""
        return tuple(
            Candidate(algorithm=algorithm, layout=layout)
            for algorithm in dict.fromkeys(self.algorithms)
            for layout in dict.fromkeys(self.layouts)
            if layout is not Layout.RECURRENT or algorithm in RECURRENT_ALGORITHMS
        )

    @model_validator(mode="after")
    def _trained_layouts(self) -> QuantizationConfig:
        if Algorithm.QAT in self.algorithms and Layout.RECURRENT in self.layouts:
            raise ValueError(
                "the algorithm `qat` trains for the layouts `offline` and `qdq`; layout `recurrent` has "
                "scales of calibration alone, as "
                f"{', '.join(RECURRENT_ALGORITHMS)} find them: take `qat` or `recurrent` out"
            )
        return self

    @model_validator(mode="after")
    def _some_candidate(self) -> QuantizationConfig:
        if not self.candidates():
            known = ", ".join(RECURRENT_ALGORITHMS)
            raise ValueError(f"layout `recurrent` is calibrated with one of {known}")
        return self


class ConversionConfig(Section):
    """Of the `offline` layouts, but for `native_ops`; the other names are those of the published script's
    options."""

    ops_to_quantize: tuple[str, ...] = Field(default=(), description="Empty means all that can be.")
    op_ids_to_skip: tuple[int, ...] = Field(default=(), description="Operators that stay FP32.")
    native_ops: tuple[str, ...] = Field(
        default=(),
        description="Operator types that Paddle's own kernels run, in the baseline and in every layout.",
    )
    debug: bool = Field(default=False, description="Draw the graph after every pass.")
    timeout_s: Limit = Field(default=1800, gt=0, description="Limit of one candidate, in seconds.")


class Reference(StrEnum):
    """What is timed beside baseline and candidate; the values are those of `Engine`."""

    NATIVE_FP32 = "native_fp32"
    BF16 = "bf16"


NamedKind = Literal[
    OutputKind.CLASSES,
    OutputKind.STEPS,
    OutputKind.PIXELS,
    OutputKind.FLAGS,
    OutputKind.EMBEDDING,
    OutputKind.BOXES,
    OutputKind.IGNORE,
]
"""Kinds that a configuration may name; the others are found only."""


class ValidationConfig(Section):
    metrics: MetricNames = Field(
        default=("top1", "top5"),
        min_length=1,
        description="`top1`, `top5`, `agreement` (FP32's own answer, in every output; no labels needed), or "
        "`package.module:function` of (outputs, labels) or (outputs, labels, FP32 outputs) -> score [N].",
    )
    outputs: dict[str, NamedKind] = Field(
        default_factory=dict,
        description="What an output of the model holds, by its name, where the release finds it out wrongly.",
    )
    labelled_output: str | None = Field(
        default=None,
        description="Output that the labels belong to; None takes the first that holds classes.",
    )
    deploy_isas: tuple[IsaLevel, ...] = Field(
        default=(), description="Lower instruction sets that will serve too; emulated here."
    )
    max_isa: IsaLevel | None = Field(
        default=None,
        description="Hold oneDNN to this instruction set, here and in serving; None gives it all there is.",
    )
    batch_size: int = Field(default=1, ge=1, description="Of the latency measurement.")
    accuracy_batch_size: int = Field(
        default=16, ge=1, description="Samples in one pass of the accuracy measurement."
    )
    threads: int = Field(default=1, ge=1, description="Of the predictor.")
    warmup: int = Field(
        default=20,
        ge=0,
        description="Inferences at the beginning of each turn of a model before the clock starts, those of "
        "50 ms at most, and none of one that takes 200 ms: a server of one model has the caches to itself.",
    )
    repeats: int = Field(
        default=200, ge=20, description="Timed inferences of each model, spread over 30 turns or more."
    )
    references: tuple[Reference, ...] = Field(
        default=tuple(Reference),
        description="Timed in the same rounds, for the reader: Paddle's own FP32 kernels, and BF16 on "
        "oneDNN.",
    )
    timeout_s: Limit = Field(default=3600, gt=0, description="Limit of one candidate, in seconds.")

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in METRICS and not re.fullmatch(CALLABLE, name)]
        if unknown:
            raise ValueError(
                "; ".join(f"unknown metric {name}{did_you_mean(name, METRICS)}" for name in unknown)
            )
        return names


class GateConfig(Section):
    """What a candidate must prove. A criterion that is None is off."""

    metric: str | None = Field(default=None, description="The gated metric; None gates every one.")
    max_drop_pp: float = Field(default=1.0, gt=0, le=100, description="Non-inferiority margin, points.")
    confidence: float = Field(
        default=0.95, gt=0.5, lt=1, description="Of the bounds that the criteria compare."
    )
    min_speedup: float | None = Field(
        default=None, gt=0, description="Lower bound of FP32/INT8; None takes the level's default."
    )
    min_native_speedup: float | None = Field(
        default=None, gt=0, description="Lower bound of Paddle's own FP32 kernels over INT8."
    )
    min_int8_share: float = Field(
        default=0.9, gt=0, le=1, description="Share of the compute operators that ran in INT8."
    )
    min_sqnr_db: float | None = Field(
        default=1.0,
        ge=0,
        description="Signal to quantization noise that every output must keep, in decibel.",
    )
    max_conversion_loss_db: float | None = Field(
        default=10.0,
        gt=0,
        description="How far an output's signal may lie below that of PaddleSlim's simulation, in decibel.",
    )
    max_size_ratio: float | None = Field(default=None, gt=0, description="INT8 / FP32 bytes on disk.")
    max_latency_p99_ms: float | None = Field(
        default=None, gt=0, description="99th percentile of one batch, in milliseconds."
    )
    max_worst_class_drop_pp: float | None = Field(
        default=None, gt=0, le=100, description="Largest drop of a single class, points."
    )


class RegistryConfig(Section):
    register_as: str | None = Field(
        default=None, description="Registered model name; None takes the release's name."
    )
    alias: str = Field(default="challenger", description="Of the approved version.")
    enabled: bool = Field(default=True, description="False measures and judges without registering.")


def _model_kind(model: object) -> str:
    if isinstance(model, dict):
        return "trained" if "train" in model else "registered" if "registered" in model else "files"
    if isinstance(model, TrainedModel):
        return "trained"
    return "registered" if isinstance(model, RegisteredModel) else "files"


class FanOut(StrEnum):
    """Where candidates are quantized and converted."""

    THREADS = "threads"
    DASK = "dask"


class ReleaseConfig(Section):
    """One release: from an FP32 model to a verdict."""

    name: ReleaseName = Field(
        description="Of the experiment, the report and, unless told otherwise, the registered model.",
    )
    model: Annotated[
        Annotated[ModelFiles, Tag("files")]
        | Annotated[TrainedModel, Tag("trained")]
        | Annotated[RegisteredModel, Tag("registered")],
        Discriminator(_model_kind),
    ] = Field(description="The FP32 model: its files, the function that trains it, or a registered version.")
    data: DataConfig = Field(description="What to calibrate and to validate with.")
    hardware: HardwareConfig = Field(default=HardwareConfig(), description="What the host must be.")
    quantization: QuantizationConfig = Field(
        default=QuantizationConfig(), description="Which candidates to build."
    )
    conversion: ConversionConfig = Field(default=ConversionConfig(), description="Of the `offline` layout.")
    validation: ValidationConfig = Field(default=ValidationConfig(), description="What to measure, and how.")
    gate: GateConfig = Field(default=GateConfig(), description="What a candidate must prove.")
    registry: RegistryConfig = Field(
        default=RegistryConfig(), description="Where an approved candidate goes."
    )
    task_runner: FanOut | None = Field(
        default=None,
        description="Where candidates are built: `threads` of this host, or the `dask` cluster of "
        "PADDLE_INT8_DASK_SCHEDULER; None takes the cluster where that is set.",
    )

    @model_validator(mode="after")
    def _gated_metric_is_measured(self) -> ReleaseConfig:
        if self.gate.metric and self.gate.metric not in self.validation.metrics:
            near = did_you_mean(self.gate.metric, self.validation.metrics)
            raise MismatchError(
                f"`gate.metric` is {self.gate.metric}{near}",
                f"one of `validation.metrics`: {', '.join(self.validation.metrics)}",
            )
        return self

    @model_validator(mode="after")
    def _gated_reference_is_measured(self) -> ReleaseConfig:
        if self.gate.min_native_speedup and Reference.NATIVE_FP32 not in self.validation.references:
            raise ValueError("`gate.min_native_speedup` needs `native_fp32` in `validation.references`")
        return self
