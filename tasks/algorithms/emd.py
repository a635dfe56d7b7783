"""The fraction with the least earth mover's distance."""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm

ALGORITHM = Algorithm(
    name="emd",
    description="The threshold is the best of 35 fractions of a batch's greatest magnitude by the "
    "earth mover's distance, and the best over all batches. For the `offline` layout PaddleSlim scores as if "
    "activations were never negative.",
    slim="emd",
)
