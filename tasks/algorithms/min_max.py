"""The greatest magnitude, by the name of a range."""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm

ALGORITHM = Algorithm(
    name="min_max",
    description="The same as `abs_max`: INT8 is symmetric on oneDNN, so the range [a, b] is max(|a|, |b|)"
    " on both sides.",
    # PaddleSlim's own `min_max` only writes attributes and leaves the model FP32
    slim="abs_max",
)
