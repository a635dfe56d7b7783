"""The metrics that a configuration names, and the scores of one batch, checked."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import cast

import numpy as np

from paddle_int8.tasks.config.callables import imported
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import DataError, MeasurementError
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.data.metrics import METRICS, named
from paddle_int8.tasks.data.metrics.metric import Metric, Outputs, RelativeMetric

RELATIVE_PARAMETERS = 3


def resolve_metrics(
    names: Sequence[str], *, labelled: bool, outputs: Sequence[JudgedOutput] = ()
) -> dict[str, Metric | RelativeMetric]:
    """The functions behind the configured names. Without `outputs` the labels belong to the first output.

    Raises: DataError when a metric needs labels and there are none, MeasurementError when a name is
    neither known nor importable.
    """
    records = {name: named(name) for name in names}
    if not labelled and (needing := [name for name, each in records.items() if each and each.needs_labels]):
        raise DataError(
            found=f"validation data without labels, and metrics {', '.join(needing)}",
            required="labels for these metrics",
            remedy="add labels to `data.validation`, or set `validation.metrics` to `agreement` or to a "
            "Python callable `package.module:function` that scores without them",
        )
    return {name: each.of(outputs) if each else _imported(name) for name, each in records.items()}


def of_classes(name: str) -> bool:
    """Whether a metric compares labels with classes, and so looks only at the output that they belong to."""
    record = named(name)
    return record is not None and record.of_classes


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


def _imported(name: str) -> Metric | RelativeMetric:
    try:
        found = imported(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise MeasurementError(
            found=f"no metric {name!r} ({error})",
            required=f"{', '.join(METRICS.names())}, or `package.module:function` that Python can import",
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
