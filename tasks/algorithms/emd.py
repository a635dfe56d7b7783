"""The algorithm `emd`: a tensor's threshold has the least earth mover's distance."""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm, Observed, Seen
from paddle_int8.tasks.config.quantization import QuantizationConfig


def least_moved(seen: Seen, config: QuantizationConfig) -> float:
    return seen.emd


ALGORITHM = Algorithm(
    name="emd",
    description="The threshold is a fraction of a batch's greatest magnitude. 35 fractions are tried on "
    "every batch, and the one with the least earth mover's distance in any batch is taken. For the layout "
    "`offline` PaddleSlim computes the distance as if activations were never negative.",
    slim="emd",
    threshold=least_moved,
    observes=frozenset({Observed.LOSSES}),
)
