"""The algorithm `bias_correction`: the mean of each channel's weights survives their rounding.

The thresholds are those of `hist`. The section's `bias_correction: true` rounds the weights of every
algorithm so; here one candidate does.
"""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm

ALGORITHM = Algorithm(
    name="bias_correction",
    description="A few weights of each channel are rounded the other way, so that the channel's mean weight "
    "stays FP32's; the thresholds are those of `hist`.",
    slim="hist",
    reads=frozenset({"hist_percent"}),
    sets={"bias_correction": True},
)
