"""What a metric is: a score of single samples, so that baseline and candidate are compared pairwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.evidence import JudgedOutput

Outputs = Sequence[Array]
Metric = Callable[[Outputs, Array | None], Array]
"""(outputs of one batch, labels of it) -> score [N], fractions of 1"""
RelativeMetric = Callable[[Outputs, Array | None, Outputs], Array]
"""The same with the FP32 model's outputs of the batch, for scores that are relative to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedMetric:
    """The record of a metric.

    of: the function that scores a batch, given what each output of the model holds, in model order.
    needs_labels: whether it cannot score samples without labels.
    of_classes: whether it compares labels with the classes of the output that they belong to, and looks at
        no other output.
    """

    name: str
    description: str
    of: Callable[[Sequence[JudgedOutput]], Metric | RelativeMetric]
    needs_labels: bool = False
    of_classes: bool = False
