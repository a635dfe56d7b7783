"""The algorithm `adaround`: each weight goes to that neighbouring integer which keeps the layer's output.

The thresholds are those of `hist`. The section's `round_type: adaround` rounds the weights of every algorithm
so; here one candidate does.
"""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm

ALGORITHM = Algorithm(
    name="adaround",
    description="Weights are rounded up or down so that each layer's output on the calibration samples stays "
    "nearest to FP32's, which is slow; the thresholds are those of `hist`. It helps where weights have few "
    "values near their greatest.",
    slim="hist",
    reads=frozenset({"hist_percent"}),
    sets={"round_type": "adaround"},
)
