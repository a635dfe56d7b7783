"""The algorithm `hist`: a tensor's threshold is a quantile of its magnitudes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddle_int8.tasks.algorithms.algorithm import Algorithm, Seen
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.arrays import Array


def quantile(batches: Sequence[Array], config: QuantizationConfig) -> float:
    return float(np.quantile(np.concatenate(batches), config.hist_percent))


def quantile_of_counts(seen: Seen, config: QuantizationConfig) -> float:
    """The middle of the first bin with which the running sum of values reaches the share.

    Where rounding leaves the sum below the share throughout, it is the middle of the last bin.
    """
    reached = np.cumsum(seen.counts / float(seen.counts.sum())) >= config.hist_percent
    bins = int(reached.argmax()) + 1 if reached.any() else reached.size
    return float((bins - 0.5) * (seen.edges[1] - seen.edges[0]))


ALGORITHM = Algorithm(
    name="hist",
    description="The threshold is the `hist_percent` quantile of the magnitudes.",
    slim="hist",
    threshold=quantile_of_counts,
    magnitudes=quantile,
    reads=frozenset({"hist_percent"}),
)
