"""The algorithm `min_max`, which on oneDNN gives the thresholds of `abs_max`."""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm

ALGORITHM = Algorithm(
    name="min_max",
    description="The threshold is that of `abs_max`: INT8 is symmetric on oneDNN, so that the range [a, b] "
    "becomes max(|a|, |b|) on both sides.",
    # PaddleSlim's own `min_max` only writes attributes and leaves the model FP32
    slim="abs_max",
)
