"""The algorithm `KL`: a tensor's threshold clips with the least Kullback-Leibler divergence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddle_int8.tasks.algorithms.algorithm import Algorithm, Seen
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.engines.paddle.quantization.kl import kl_threshold

BINS = 2048


def least_divergent(batches: Sequence[Array], config: QuantizationConfig) -> float:
    greatest = float(max(batch.max() for batch in batches))
    counts, edges = np.histogram(np.concatenate(batches), bins=BINS, range=(0.0, greatest))
    return kl_threshold(counts, float(edges[1] - edges[0]), 8)


def least_divergent_counts(seen: Seen, config: QuantizationConfig) -> float:
    return kl_threshold(seen.counts, float(seen.edges[1] - seen.edges[0]), 8)


ALGORITHM = Algorithm(
    name="KL",
    description="The threshold is the one whose clipping has the least Kullback-Leibler divergence from the "
    "distribution of the magnitudes.",
    slim="KL",
    threshold=least_divergent_counts,
    magnitudes=least_divergent,
)
