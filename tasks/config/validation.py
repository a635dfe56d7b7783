"""The configuration of what is measured on each candidate."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal

from pydantic import (
    Field,
    field_validator,
)

from paddle_int8.tasks.config.choice import Choice, Record
from paddle_int8.tasks.config.section import Limit, Section
from paddle_int8.tasks.config.spoken import (
    CALLABLE,
    MetricNames,
    PaddleVersion,
)
from paddle_int8.tasks.contracts.keys import Incidental
from paddle_int8.tasks.contracts.suggestion import did_you_mean
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, OutputKind

METRICS: Choice[Record] = Choice("paddle_int8.tasks.data.metrics:METRICS")


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
"""Kinds of output that a configuration may name. The other kinds are only found by the release itself."""


class ValidationConfig(Section):
    """What is measured on each candidate: accuracy, latency and the kernels that ran."""

    metrics: MetricNames = Field(
        default=("top1", "top5"),
        min_length=1,
        description="`top1`, `top5`, `agreement` (with FP32's own answers in every output, so it needs "
        "no labels), or a `package.module:function` that takes (outputs, labels) or (outputs, labels, "
        "FP32 outputs) and returns one score a sample [N].",
    )
    outputs: dict[str, NamedKind] = Field(
        default_factory=dict,
        description="What an output of the model holds, by the output's name, where the release finds it "
        "out wrongly.",
    )
    labelled_output: str | None = Field(
        default=None,
        description="Name of the output that the labels belong to; without it, they belong to the first "
        "one that holds classes.",
    )
    deploy_isas: tuple[IsaLevel, ...] = Field(
        default=(),
        description="Lower instruction sets that will serve the model too; they are emulated on this host.",
    )
    max_isa: IsaLevel | None = Field(
        default=None,
        description="Highest instruction set that oneDNN may use, here and when serving; without it, "
        "oneDNN uses all that the CPU has.",
    )
    runtimes: tuple[PaddleVersion, ...] = Field(
        default=(),
        description="Versions of Paddle Inference that will serve the model, such as `3.3.1`. Each candidate "
        "is measured and judged with each of them too, beside the Paddle of the release. "
        "PADDLE_INT8_RUNTIMES says where they are installed.",
    )
    search_share: Incidental[float] = Field(
        default=0.3,
        gt=0,
        lt=1,
        description="Share of the validation samples that a strategy sees which learns from verdicts. Its "
        "best candidate is then tested on the other samples. Other strategies ignore it.",
    )
    batch_size: int = Field(default=1, ge=1, description="How many samples each timed inference takes.")
    accuracy_batch_size: int = Field(
        default=16, ge=1, description="How many samples run together while accuracy is measured."
    )
    threads: int = Field(default=1, ge=1, description="How many threads each measured model runs on.")
    warmup: int = Field(
        default=20,
        ge=0,
        description="Untimed inferences at the start of each turn of a model: at most this many, and no "
        "further one once 50 ms have passed. A model whose inferences all take 200 ms or more gets none "
        "after its first turn.",
    )
    repeats: int = Field(
        default=200,
        ge=20,
        description="Timed inferences of each model, at most, in all processes together. They are spread "
        "over at least 30 turns, or one a turn when there are fewer.",
    )
    processes: int = Field(
        default=5,
        ge=2,
        le=100,
        description="How many processes time the models, one after another. Speed differs between processes, "
        "so more of them make the interval of the speed-up narrower, and each must load all models.",
    )
    references: tuple[Reference, ...] = Field(
        default=tuple(Reference),
        description="What is timed beside baseline and candidate, for the reader only: Paddle's own FP32 "
        "kernels, and BF16 on oneDNN.",
    )
    timeout_s: Limit = Field(
        default=3600,
        gt=0,
        description="Seconds after which each of the processes that measure one candidate is stopped.",
    )

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
