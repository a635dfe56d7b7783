"""The algorithm `ptf`: a tensor's threshold is a power-of-two fraction of its greatest magnitude."""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm, Seen
from paddle_int8.tasks.config.quantization import QuantizationConfig


def fraction(seen: Seen, config: QuantizationConfig) -> float:
    return seen.ptf


ALGORITHM = Algorithm(
    name="ptf",
    description="The threshold is a power-of-two fraction of the greatest magnitude; the last batch decides.",
    slim="ptf",
    threshold=fraction,
)
