"""What is measured of each candidate."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal

from pydantic import (
    Field,
    field_validator,
)

from paddle_int8.tasks.config.choice import Choice
from paddle_int8.tasks.config.section import Limit, Section
from paddle_int8.tasks.config.spoken import (
    CALLABLE,
    MetricNames,
)
from paddle_int8.tasks.contracts.suggestion import did_you_mean
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, OutputKind

METRICS = Choice("paddle_int8.tasks.data.metrics:METRICS")


class Reference(StrEnum):
    """What is timed beside baseline and candidate."""

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
        known = METRICS.names()
        unknown = [name for name in names if name not in known and not re.fullmatch(CALLABLE, name)]
        if unknown:
            raise ValueError(
                "; ".join(f"unknown metric {name}{did_you_mean(name, known)}" for name in unknown)
            )
        for name in set(names) & set(known):
            METRICS.known(name)
        return names
