"""Says in words what a sample's label is, and what a model answers to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.contracts.vocabulary import OutputKind
from paddle_int8.tasks.data.dataset import NO_LABEL
from paddle_int8.tasks.data.metrics.agreement import decided
from paddle_int8.tasks.data.metrics.decisions import shares

BEST = 3
STEPS = 12
"""How many time steps of a sequence are written."""


def label_in_words(label: Array | np.int64, names: Sequence[str]) -> str:
    """The label of one sample: a class with its name, or the classes of the time steps."""
    values = np.atleast_1d(label)
    there = values[values != NO_LABEL]
    return class_in_words(int(there[0]), names) if np.ndim(label) == 0 else _steps(there)


def class_in_words(number: int, names: Sequence[str]) -> str:
    """`3 dog` where the classes have names of their own, else `3`."""
    name = names[number] if number < len(names) else ""
    return f"{number} {name}" if name and name != str(number) else str(number)


def answer_in_words(row: Array, output: JudgedOutput, names: Sequence[str], length: int | None) -> str:
    """What the output holds for one sample. `row` has the sample's axis, of size 1; `length`: its time steps.

    Scores of classes are written as shares; where they are none, as those of their softmax.
    """
    if not np.isfinite(row).all():
        return "NaN or infinity"
    if output.kind is OutputKind.CLASSES and row.size > 1:
        (found,) = shares(row.reshape(1, -1))
        best = np.argsort(-found, kind="stable")[:BEST]
        return ", ".join(f"{class_in_words(int(each), names)} {100 * found[each]:.1f} %" for each in best)
    if output.kind in (OutputKind.CLASSES, OutputKind.DECISIONS) and row.size == 1:
        return class_in_words(int(decided(row.reshape(1, 1), output).reshape(-1)[0]), names)
    if output.kind is OutputKind.STEPS:
        return _steps(decided(row, output).reshape(-1)[:length])
    values = row.astype(np.float64)
    shape = " x ".join(map(str, row.shape[1:]))
    return f"{shape} values, {values.min():.3g} to {values.max():.3g}, {values.mean():.3g} on average"


def _steps(values: Array) -> str:
    more = f" … ({len(values)} steps)" if len(values) > STEPS else ""
    return " ".join(map(str, values[:STEPS].tolist())) + more
