"""Scores of single samples, so that baseline and candidate are compared pairwise."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import numpy as np

from tasks.arrays import Array
from tasks.callables import imported
from tasks.errors import DataError, MeasurementError

Outputs = Sequence[Array]
Metric = Callable[[Outputs, Array | None], Array]
"""(outputs of one batch, labels of it) -> score [N], fractions of 1"""
RelativeMetric = Callable[[Outputs, Array | None, Outputs], Array]
"""The same with the FP32 model's outputs of the batch, for scores that are relative to them."""
RELATIVE_PARAMETERS = 3


def top_k(outputs: Outputs, labels: Array | None, *, k: int) -> Array:
    """1.0 where fewer than `k` classes score above the label's, else 0.0: [N].

    outputs[0]: [N, classes]. Among equal scores the lower class number comes first. A sample with NaN
    or Inf is wrong.
    Raises: MeasurementError when the output has another shape, DataError when a label is out of range.
    """
    logits = outputs[0].reshape(len(outputs[0]), -1)
    labels = _class_labels(labels, logits)
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    ahead = (logits > own).sum(axis=1) + ((logits == own) & earlier).sum(axis=1)
    correct: Array = (ahead < k) & np.isfinite(logits).all(axis=1)
    return correct.astype(np.float64)


def agreement(outputs: Outputs, labels: Array | None, baseline: Outputs) -> Array:
    """1.0 where the decision is the FP32 model's own, else 0.0: [N]. Needs no labels."""
    ours, theirs = predictions(outputs), predictions(baseline)
    alike: Array = (ours == theirs) & (ours >= 0)
    return alike.astype(np.float64)


LABELLED: dict[str, Metric] = {"top1": partial(top_k, k=1), "top5": partial(top_k, k=5)}
"""Metrics by name that need labels."""
UNLABELLED: dict[str, RelativeMetric] = {"agreement": agreement}


def resolve_metrics(names: Sequence[str], *, labelled: bool) -> dict[str, Metric | RelativeMetric]:
    """The functions behind the configured names.

    Raises: DataError when a metric needs labels and there are none, MeasurementError when a name is
    neither known nor importable.
    """
    if not labelled and (needing := [name for name in names if name in LABELLED]):
        raise DataError(
            found=f"validation data without labels, and metrics {', '.join(needing)}",
            required="labels for these metrics",
            remedy="add labels to `data.validation`, or set `validation.metrics` to `agreement` or to a "
            "Python callable `package.module:function` that scores without them",
        )
    return {name: LABELLED.get(name) or UNLABELLED.get(name) or _imported(name) for name in names}


def score(
    name: str,
    metric: Metric | RelativeMetric,
    outputs: Outputs,
    labels: Array | None,
    baseline: Outputs,
) -> Array:
    """`metric` of one batch, checked: float64 [N]. `baseline`: the FP32 model's outputs of the batch.

    Raises: MeasurementError when a callable fails or returns anything but one finite number per sample.
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
    """Whether it takes the FP32 model's outputs as its third parameter."""
    try:
        parameters = inspect.signature(metric).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional for each in parameters) >= RELATIVE_PARAMETERS


def predictions(outputs: Outputs) -> Array:
    """The decision on each sample: int64 [N].

    The class of the highest score in the first output; of a single value, the nearest integer. A
    sequence [N, steps, scores] decides on each step, and its decision stands for all of them. A sample with
    NaN or Inf decides -1.
    """
    if outputs[0].ndim == 3:
        return _sequence_predictions(outputs[0])
    flat = outputs[0].reshape(len(outputs[0]), -1)
    finite = np.isfinite(flat).all(axis=1)
    known = np.where(finite[:, None], flat, 0)
    decided = np.rint(known[:, 0]) if flat.shape[1] == 1 else known.argmax(axis=1)
    return np.where(finite, decided, -1).astype(np.int64)


def _sequence_predictions(scores: Array) -> Array:
    decided = np.rint(scores[..., 0]) if scores.shape[2] == 1 else scores.argmax(axis=2)
    finite = np.isfinite(scores).all(axis=(1, 2))
    return np.array(
        [
            zlib.crc32(row.tobytes()) if whole else -1
            for row, whole in zip(decided.astype(np.int64), finite, strict=True)
        ],
        dtype=np.int64,
    )


def _class_labels(labels: Array | None, logits: Array) -> Array:
    if labels is None or len(labels) != len(logits):
        raise MeasurementError(
            found=f"{0 if labels is None else len(labels)} labels for {len(logits)} rows of the first output",
            required="a first output [samples, classes] and one label per sample",
            remedy="for another kind of model, name a callable in `validation.metrics`",
        )
    classes = logits.shape[1]
    labels = np.asarray(labels).reshape(-1).astype(np.int64)
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
            required=f"{', '.join((*LABELLED, *UNLABELLED))}, or `package.module:function` that Python can "
            "import",
            remedy="correct `validation.metrics`; PYTHONPATH must reach the module",
        ) from error
    return cast("Metric | RelativeMetric", found)


def _bad_metric(found: str) -> MeasurementError:
    return MeasurementError(
        found=found,
        required="`function(outputs: list of arrays, labels)`, and the FP32 outputs as a third parameter if "
        "wanted, -> one finite number per sample",
        remedy="correct the function named in `validation.metrics`",
    )
