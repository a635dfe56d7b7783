"""The algorithm `abs_max`: a tensor's threshold is its greatest magnitude."""

from __future__ import annotations

from collections.abc import Sequence

from paddle_int8.tasks.algorithms.algorithm import Algorithm, Seen
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.arrays import Array


def greatest(batches: Sequence[Array], config: QuantizationConfig) -> float:
    return float(max(batch.max() for batch in batches))


def high(seen: Seen, config: QuantizationConfig) -> float:
    return seen.high


ALGORITHM = Algorithm(
    name="abs_max",
    description="The threshold is the greatest magnitude.",
    slim="abs_max",
    threshold=high,
    magnitudes=greatest,
)
