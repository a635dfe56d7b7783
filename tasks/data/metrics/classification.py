"""The metrics top-1 and top-5: whether a sample's label is among the classes with the highest scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import DataError, MeasurementError
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.contracts.vocabulary import OutputKind
from paddle_int8.tasks.data.metrics.agreement import decided
from paddle_int8.tasks.data.metrics.metric import Metric, NamedMetric, Outputs


def top_k_metric(name: str, k: int) -> NamedMetric:
    """The record of the metric that is 1 where the label is among the `k` best classes."""

    def of(judged: Sequence[JudgedOutput]) -> Metric:
        return partial(labelled_top_k, k=k, judged=judged) if judged else partial(top_k, k=k)

    return NamedMetric(
        name=name,
        description=f"Whether the label is among the {k} classes with the greatest scores."
        if k > 1
        else "Whether the label is the class with the greatest score.",
        of=of,
        needs_labels=True,
        of_classes=True,
    )


def top_k(outputs: Outputs, labels: Array | None, *, k: int, index: int = 0) -> Array:
    """1.0 where the label is among the `k` classes with the highest scores, else 0.0: [N].

    outputs[index]: scores [N, classes]. When scores are equal, the lower class number comes first. A sample
    with NaN or Inf scores 0.0.
    Raises: MeasurementError when the output has another shape, DataError when a label is out of range.
    """
    logits = outputs[index].reshape(len(outputs[index]), -1)
    labels = _class_labels(labels, logits)
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    ahead = (logits > own).sum(axis=1) + ((logits == own) & earlier).sum(axis=1)
    correct: Array = (ahead < k) & np.isfinite(logits).all(axis=1)
    return correct.astype(np.float64)


def labelled_top_k(
    outputs: Outputs, labels: Array | None, *, k: int, judged: Sequence[JudgedOutput]
) -> Array:
    """`top_k` of the output that the labels belong to: [N].

    An output with a single score a sample decides between the classes 0 and 1. A whole number is the class
    itself.
    Raises: MeasurementError when no output has a decision for each sample, or when `k` is above 1 and the
    output is a whole number, which names only the first class.
    """
    index = next((index for index, each in enumerate(judged) if each.labelled), None)
    if index is None:
        raise _nothing_labelled(outputs, judged)
    values = outputs[index]
    if values[:1].size > 1:
        return top_k(outputs, labels, k=k, index=index)
    if judged[index].kind is OutputKind.DECISIONS and k > 1:
        raise MeasurementError(
            found=f"metric top{k}, and output {judged[index].name} that holds the best class only",
            required="scores of classes",
            remedy="set `validation.metrics` to [top1], or export the model without its argmax",
        )
    rows = values.reshape(len(values), 1)
    right = decided(rows, judged[index]).reshape(-1) == _labels(labels, rows)
    correct: Array = (right | (k > 1)) & np.isfinite(rows[:, 0])
    return correct.astype(np.float64)


def _labels(labels: Array | None, rows: Array) -> Array:
    if labels is None or labels.size != len(rows):
        raise MeasurementError(
            found=f"labels of shape {'none' if labels is None else list(labels.shape)} for {len(rows)} rows "
            "of the output that they belong to",
            required="an output [samples, classes] and one label per sample",
            remedy="for another kind of model, name a callable in `validation.metrics`",
        )
    return np.asarray(labels).reshape(-1).astype(np.int64)


def _class_labels(labels: Array | None, logits: Array) -> Array:
    labels = _labels(labels, logits)
    classes = logits.shape[1]
    if labels.min(initial=0) < 0 or labels.max(initial=0) >= classes:
        raise DataError(
            found=f"labels from {labels.min()} to {labels.max()}, and {classes} model outputs",
            required=f"labels from 0 to {classes - 1}",
            remedy="correct the labels: list files often count from 1",
        )
    return labels


def _nothing_labelled(outputs: Outputs, judged: Sequence[JudgedOutput]) -> MeasurementError:
    found = ", ".join(
        f"{each.name} {list(values.shape)} ({each.kind})"
        for each, values in zip(judged, outputs, strict=True)
    )
    return MeasurementError(
        found=f"metrics of labels, and outputs without one class for each sample: {found}",
        required="an output [samples, classes]",
        remedy="say `classes` of an output [samples, classes] in `validation.outputs`, or set "
        "`validation.metrics` to [agreement], or to a callable `package.module:function` that compares these "
        "outputs with the labels",
    )
