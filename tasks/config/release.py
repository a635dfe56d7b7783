"""The whole configuration of a release."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import (
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from paddle_int8.tasks.config.data import DataConfig
from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.config.hardware import HardwareConfig
from paddle_int8.tasks.config.model import (
    GivenFiles,
    ModelFiles,
    RegisteredModel,
    TrainedModel,
    _model_kind,
)
from paddle_int8.tasks.config.quantization import ConversionConfig, QuantizationConfig
from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.spoken import (
    MismatchError,
    ReleaseName,
)
from paddle_int8.tasks.config.validation import Reference, ValidationConfig
from paddle_int8.tasks.contracts.suggestion import did_you_mean


class RegistryConfig(Section):
    """How an approved candidate is registered in MLflow."""

    register_as: str | None = Field(
        default=None, description="Name of the registered model; without it, the release's name is taken."
    )
    alias: str = Field(
        default="challenger", description="Alias that the registry gives to the approved version."
    )
    enabled: bool = Field(
        default=True,
        description="Whether an approved candidate is registered; otherwise it is only measured and judged.",
    )


class ServingConfig(Section):
    """What the bundle demands of those who serve it."""

    strict: bool = Field(
        default=False,
        description="Whether the bundle refuses to open where oneDNN uses an instruction set that the model "
        "was not validated on; otherwise it warns.",
    )


class FanOut(StrEnum):
    """Where candidates are quantized and converted."""

    THREADS = "threads"
    DASK = "dask"


class ReleaseConfig(Section):
    """One release: from an FP32 model to a verdict."""

    name: ReleaseName = Field(
        description="Name of the experiment, of the report and, where `registry.register_as` is not set, "
        "of the registered model.",
    )
    model: Annotated[
        Annotated[ModelFiles, Tag("files")]
        | Annotated[TrainedModel, Tag("trained")]
        | Annotated[RegisteredModel, Tag("registered")],
        Discriminator(_model_kind),
    ] = Field(description="The FP32 model: its files, the function that trains it, or a registered version.")
    data: DataConfig = Field(description="Samples to calibrate and to validate with.")
    hardware: HardwareConfig = Field(
        default=HardwareConfig(), description="What the host must be able to do."
    )
    quantization: QuantizationConfig = Field(
        default=QuantizationConfig(), description="Which candidates are built."
    )
    candidates: tuple[GivenFiles, ...] = Field(
        default=(),
        description="Models that were quantized elsewhere, of the same FP32 model; each is one more "
        "candidate. With `algorithms: []` in `quantization` they are the only ones.",
    )
    conversion: ConversionConfig = Field(
        default=ConversionConfig(), description="How a quantized model becomes one that oneDNN runs."
    )
    validation: ValidationConfig = Field(default=ValidationConfig(), description="What is measured, and how.")
    gate: GateConfig = Field(default=GateConfig(), description="What a candidate must prove.")
    serving: ServingConfig = Field(
        default=ServingConfig(), description="What opening the bundle of an approved model demands."
    )
    registry: RegistryConfig = Field(
        default=RegistryConfig(), description="Where an approved candidate is registered."
    )
    task_runner: FanOut | None = Field(
        default=None,
        description="Where candidates are built: in `threads` of this host, or on the `dask` cluster of "
        "PADDLE_INT8_DASK_SCHEDULER. Without it, the cluster is used where that variable is set.",
    )

    @model_validator(mode="after")
    def _some_candidate(self) -> ReleaseConfig:
        if not self.quantization.algorithms and not self.candidates:
            raise MismatchError(
                "`quantization.algorithms` is empty and `candidates` names no model",
                "an algorithm, or a model in `candidates`",
            )
        return self

    @model_validator(mode="after")
    def _candidates_differ(self) -> ReleaseConfig:
        names = [each.called for each in self.candidates]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"`candidates` has several models named {', '.join(twice)}: give each a `name`")
        return self

    @property
    def number_of_candidates(self) -> int:
        """How many candidates there are to try: those of the grid, and those that are given."""
        return len(self.quantization.candidates()) + len(self.candidates)

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
