"""Metrics that score each sample, so that baseline and candidate can be compared sample by sample."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import numpy as np

from paddle_int8.tasks.config.callables import imported
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import DataError, MeasurementError
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.contracts.vocabulary import OutputKind
from paddle_int8.tasks.data.metrics.agreement import agreements, decided, least

Outputs = Sequence[Array]
Metric = Callable[[Outputs, Array | None], Array]
"""A function of (outputs of a batch, labels of it) that returns the scores [N], each between 0 and 1."""
RelativeMetric = Callable[[Outputs, Array | None, Outputs], Array]
"""A metric whose third parameter is the FP32 model's outputs of the batch, for scores relative to them."""
RELATIVE_PARAMETERS = 3
AGREEMENT = "agreement"
LABELLED: dict[str, int] = {"top1": 1, "top5": 5}
"""Metrics that need labels, with the number of highest-scored classes among which the label must be."""


def top_k(outputs: Outputs, labels: Array | None, *, k: int, place: int = 0) -> Array:
    """1.0 where the label is among the `k` classes with the highest scores, else 0.0: [N].

    outputs[place]: scores [N, classes]. When scores are equal, the lower class number comes first. A sample
    with NaN or Inf scores 0.0.
    Raises: MeasurementError when the output has another shape, DataError when a label is out of range.
    """
    logits = outputs[place].reshape(len(outputs[place]), -1)
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
    place = next((place for place, each in enumerate(judged) if each.labelled), None)
    if place is None:
        raise _nothing_labelled(outputs, judged)
    values = outputs[place]
    if values[:1].size > 1:
        return top_k(outputs, labels, k=k, place=place)
    if judged[place].kind is OutputKind.DECISIONS and k > 1:
        raise MeasurementError(
            found=f"metric top{k}, and output {judged[place].name} that holds the first place only",
            required="scores of classes",
            remedy="set `validation.metrics` to [top1], or export the model without its argmax",
        )
    rows = values.reshape(len(values), 1)
    right = decided(rows, judged[place]).reshape(-1) == _labels(labels, rows)
    correct: Array = (right | (k > 1)) & np.isfinite(rows[:, 0])
    return correct.astype(np.float64)


def agreement(
    outputs: Outputs, labels: Array | None, baseline: Outputs, *, judged: Sequence[JudgedOutput]
) -> Array:
    """How well each answer agrees with that of the FP32 model: [N]. It needs no labels.

    The module `agreement` defines the scores.
    """
    scores = least(agreements(outputs, baseline, judged))
    if scores is None:
        raise MeasurementError(
            found="metric agreement, and no output that it can compare",
            required="one output at least of a known kind",
            remedy="say what an output holds in `validation.outputs`, or name a callable",
        )
    return scores


def resolve_metrics(
    names: Sequence[str], *, labelled: bool, outputs: Sequence[JudgedOutput] = ()
) -> dict[str, Metric | RelativeMetric]:
    """The metric functions by their configured names.

    outputs: how each output is judged; when empty, the labels belong to the first output.
    Raises: DataError when a metric needs labels and there are none; MeasurementError when a name is neither
    built in nor importable.
    """
    if not labelled and (needing := [name for name in names if name in LABELLED]):
        raise DataError(
            found=f"validation data without labels, and metrics {', '.join(needing)}",
            required="labels for these metrics",
            remedy="add labels to `data.validation`, or set `validation.metrics` to `agreement` or to a "
            "Python callable `package.module:function` that scores without them",
        )
    return {name: _built_in(name, outputs) or _imported(name) for name in names}


def _built_in(name: str, outputs: Sequence[JudgedOutput]) -> Metric | RelativeMetric | None:
    if name == AGREEMENT:
        return partial(agreement, judged=outputs)
    if name not in LABELLED:
        return None
    if not outputs:
        return partial(top_k, k=LABELLED[name])
    return partial(labelled_top_k, k=LABELLED[name], judged=outputs)


def score(
    name: str,
    metric: Metric | RelativeMetric,
    outputs: Outputs,
    labels: Array | None,
    baseline: Outputs,
) -> Array:
    """The scores of one batch by `metric`, checked: float64 [N].

    baseline: the FP32 model's outputs of the batch.
    Raises: MeasurementError when the function fails, or does not return one finite number for each sample.
    """
    try:
        given = (outputs, labels, baseline) if is_relative(metric) else (outputs, labels)
        scores = np.asarray(metric(*given), dtype=np.float64)
    except (DataError, MeasurementError):
        raise
    except Exception as error:
        raise _bad_metric(f"metric {name} raised {type(error).__name__}: {error}") from error
    samples = len(baseline[0])
    if scores.shape != (samples,):
        raise _bad_metric(f"metric {name} returned shape {scores.shape} for {samples} samples")
    if not np.isfinite(scores).all():
        raise _bad_metric(f"metric {name} returned NaN or Inf")
    return scores


def is_relative(metric: Metric | RelativeMetric) -> bool:
    """Whether the metric takes the FP32 model's outputs as its third parameter."""
    try:
        parameters = inspect.signature(metric).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional for each in parameters) >= RELATIVE_PARAMETERS


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


def _imported(name: str) -> Metric | RelativeMetric:
    try:
        found = imported(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise MeasurementError(
            found=f"no metric {name!r} ({error})",
            required=f"{', '.join((*LABELLED, AGREEMENT))}, or `package.module:function` that Python can "
            "import",
            remedy="correct `validation.metrics`; PYTHONPATH must reach the module",
        ) from error
    return cast("Metric | RelativeMetric", found)


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


def _bad_metric(found: str) -> MeasurementError:
    return MeasurementError(
        found=found,
        required="`function(outputs: list of arrays, labels)`, and the FP32 outputs as a third parameter if "
        "wanted, -> one finite number per sample",
        remedy="correct the function named in `validation.metrics`",
    )
