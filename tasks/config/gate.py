"""What a candidate must reach to be approved."""

from __future__ import annotations

from pydantic import (
    Field,
)

from paddle_int8.tasks.config.section import Section


class GateConfig(Section):
    """What a candidate must prove to be approved. A criterion without a limit (None) is not applied.

    `min_speedup` is the exception: without it, the default of the instruction set applies.
    """

    metric: str | None = Field(
        default=None, description="The metric that must pass; without it, every metric must."
    )
    max_drop_pp: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="Largest loss of accuracy that is accepted (the margin of non-inferiority), in "
        "percentage points.",
    )
    confidence: float = Field(
        default=0.95,
        gt=0.5,
        lt=1,
        description="Confidence of the bounds that the criteria compare with their limits. It holds for "
        "the release: the bounds of several candidates are widened so that all hold together.",
    )
    releases: int = Field(
        default=1,
        ge=1,
        description="How many releases are to use the same validation data. The error that `confidence` "
        "allows is shared among them, so that it holds for all of them together.",
    )
    min_speedup: float | None = Field(
        default=None,
        gt=0,
        description="How many times faster than FP32 the INT8 model must be; without it, the default of "
        "the instruction set applies.",
    )
    min_native_speedup: float | None = Field(
        default=None,
        gt=0,
        description="How many times faster than Paddle's own FP32 kernels the INT8 model must be.",
    )
    min_int8_share: float = Field(
        default=0.9, gt=0, le=1, description="Share of the compute operators that must run in INT8."
    )
    min_sqnr_db: float | None = Field(
        default=1.0,
        ge=0,
        description="Ratio of signal to quantization noise that every output must keep, in decibels.",
    )
    max_conversion_loss_db: float | None = Field(
        default=10.0,
        gt=0,
        description="How far an output's ratio of signal to quantization noise may lie below that of "
        "PaddleSlim's simulation, in decibels.",
    )
    max_size_ratio: float | None = Field(
        default=None, gt=0, description="Largest size on disk, as a multiple of the FP32 model's."
    )
    max_latency_p99_ms: float | None = Field(
        default=None,
        gt=0,
        description="Highest 99th percentile of the latency of one batch, in milliseconds.",
    )
    max_worst_class_drop_pp: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Largest loss of accuracy of any single class, in percentage points.",
    )
