"""What a candidate must reach to be approved."""

from __future__ import annotations

from pydantic import (
    Field,
)

from paddle_int8.tasks.config.section import Section


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
