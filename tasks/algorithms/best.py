"""The algorithm `best`: each tensor has the threshold of the algorithm that rounds it best."""

from __future__ import annotations

import numpy as np

from paddle_int8.tasks.algorithms.abs_max import high
from paddle_int8.tasks.algorithms.algorithm import Algorithm, Observed, Seen
from paddle_int8.tasks.algorithms.avg import mean_average
from paddle_int8.tasks.algorithms.emd import least_moved
from paddle_int8.tasks.algorithms.hist import quantile_of_counts
from paddle_int8.tasks.algorithms.kl import least_divergent_counts
from paddle_int8.tasks.algorithms.mse import least_squares
from paddle_int8.tasks.algorithms.ptf import fraction
from paddle_int8.tasks.config.quantization import QuantizationConfig

LEVELS = 127
RULES = (high, mean_average, quantile_of_counts, least_divergent_counts, fraction, least_squares, least_moved)
"""Those of all algorithms that calibrate; `min_max` has the thresholds of `abs_max`."""


def least_error(seen: Seen, config: QuantizationConfig) -> float:
    if seen.high == 0:
        return 0.0
    thresholds = sorted(rule(seen, config) for rule in RULES)
    return min(thresholds, key=lambda threshold: squared_error(seen, threshold))


def squared_error(seen: Seen, threshold: float) -> float:
    """The sum of squared differences when magnitudes are rounded to 127 steps up to `threshold`.

    Each value counts as the middle of its bin, of which a step has five or more.
    """
    middles = (seen.edges[:-1] + seen.edges[1:]) / 2
    step = threshold / LEVELS
    rounded = np.minimum(np.rint(middles / step), LEVELS) * step
    return float((seen.counts * np.square(middles - rounded)).sum())


ALGORITHM = Algorithm(
    name="best",
    description="The threshold is, for each tensor, the one with the least squared error among those of "
    "`abs_max`, `avg`, `hist`, `KL`, `ptf`, `mse` and `emd`.",
    slim=None,
    threshold=least_error,
    observes=frozenset(Observed),
    reads=frozenset({"hist_percent"}),
)
