"""Which fields of the section `validation` the FP32 baseline is measured with."""

from __future__ import annotations

from paddle_int8.tasks.config.validation import ValidationConfig

OF_LATENCY = frozenset({"warmup", "repeats", "processes", "references", "runtimes"})
"""These say how a candidate is timed beside the baseline."""


def baseline_section(config: ValidationConfig) -> ValidationConfig:
    """`config` with every field at its default that only candidates are measured with."""
    return ValidationConfig(**{name: value for name, value in config if name not in OF_LATENCY})
