"""The algorithm `avg`: a tensor's threshold is the mean of greatest magnitudes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddle_int8.tasks.algorithms.algorithm import Algorithm, Seen
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.arrays import Array


def mean_greatest(batches: Sequence[Array], config: QuantizationConfig) -> float:
    """The mean of the batches' greatest magnitudes. PaddleSlim averages those of the samples."""
    return float(np.mean([batch.max() for batch in batches]))


def mean_average(seen: Seen, config: QuantizationConfig) -> float:
    return float(np.array(seen.averages).mean())


ALGORITHM = Algorithm(
    name="avg",
    description="The threshold is the mean over batches of the mean greatest magnitude of a sample.",
    slim="avg",
    threshold=mean_average,
    magnitudes=mean_greatest,
)
