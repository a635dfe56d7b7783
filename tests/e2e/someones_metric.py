"""A metric of another package: how near the label's class comes to the first place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.data.metrics.metric import Metric, NamedMetric, Outputs


def reciprocal_rank(outputs: Outputs, labels: Array | None) -> Array:
    """1 for the first place, 1/2 for the second: [N]. outputs[0]: [N, classes]."""
    assert labels is not None
    own = np.take_along_axis(outputs[0], labels.reshape(-1, 1), axis=1)
    ranks: Array = 1.0 / (1 + (outputs[0] > own).sum(axis=1))
    return ranks


def of(judged: Sequence[JudgedOutput]) -> Metric:
    return reciprocal_rank


METRIC = NamedMetric(
    name="reciprocal_rank",
    description="One over the place of the label's class.",
    of=of,
    needs_labels=True,
    of_classes=True,
)
