"""Training on, with the rounding simulated."""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm

ALGORITHM = Algorithm(
    name="qat",
    description="The model is trained on with its rounding simulated, as `quantization.qat` says, and learns "
    "the thresholds; a tensor that the training did not see has its greatest magnitude.",
    slim="abs_max",
    needs_training=True,
)
