"""The algorithm `hist`: a tensor's threshold is a quantile of its magnitudes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddle_int8.tasks.algorithms.algorithm import Algorithm
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.arrays import Array


def quantile(batches: Sequence[Array], config: QuantizationConfig) -> float:
    return float(np.quantile(np.concatenate(batches), config.hist_percent))


ALGORITHM = Algorithm(
    name="hist",
    description="The threshold is the `hist_percent` quantile of the magnitudes.",
    slim="hist",
    magnitudes=quantile,
    reads=frozenset({"hist_percent"}),
)
