"""An algorithm of another package that finds thresholds by a rule of its own."""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.arrays import Array


def half(counts: Array, edges: Array, config: QuantizationConfig) -> float:
    return float(edges[-1]) / 2


ALGORITHM = Algorithm(
    name="halved",
    description="The threshold is half of the greatest magnitude.",
    slim="hist",
    histogram=half,
)
