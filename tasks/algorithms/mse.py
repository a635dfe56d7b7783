"""The algorithm `mse`: a tensor's threshold has the least mean squared error."""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm, Observed, Seen
from paddle_int8.tasks.config.quantization import QuantizationConfig


def least_squares(seen: Seen, config: QuantizationConfig) -> float:
    return seen.mse


ALGORITHM = Algorithm(
    name="mse",
    description="The threshold is a fraction of a batch's greatest magnitude. 35 fractions are tried on "
    "every batch, and the one with the least mean squared error in any batch is taken. For the layout "
    "`offline` PaddleSlim computes the error as if activations were never negative.",
    slim="mse",
    threshold=least_squares,
    observes=frozenset({Observed.LOSSES}),
)
