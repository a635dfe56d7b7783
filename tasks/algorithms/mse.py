"""The fraction with the least squared error."""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm

ALGORITHM = Algorithm(
    name="mse",
    description="The threshold is the best of 35 fractions of a batch's greatest magnitude by the "
    "mean squared error, and the best over all batches. For the `offline` layout PaddleSlim scores as if "
    "activations were never negative.",
    slim="mse",
)
