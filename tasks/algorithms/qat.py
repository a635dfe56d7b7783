"""The algorithm `qat`: the model is trained further with its rounding simulated."""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm

ALGORITHM = Algorithm(
    name="qat",
    description="The model is trained further with its rounding simulated, as `quantization.qat` says, and "
    "learns the thresholds. For a tensor that the training did not see, the threshold is its greatest "
    "magnitude.",
    slim="abs_max",
    needs_training=True,
)
