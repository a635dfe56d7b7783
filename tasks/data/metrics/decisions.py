"""What an output that states one class for each sample answers, and how sure it is of that."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, softmax

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.contracts.vocabulary import OutputKind
from paddle_int8.tasks.data.metrics.agreement import decided

SUM_TOLERANCE = 1e-3


def decisions(values: Array, output: JudgedOutput) -> Array:
    """The class of each sample: int64 [N]. values: [N, classes], one score [N, 1], or whole numbers."""
    rows = values.reshape(len(values), -1)
    scores = output.kind is not OutputKind.DECISIONS and rows.shape[1] > 1
    found: Array = (rows.argmax(axis=1) if scores else decided(rows, output).reshape(-1)).astype(np.int64)
    return found


def shares(scores: Array) -> Array:
    """The share that each class has of its sample: float64 [N, classes].

    Scores that sum to 1 are shares already; of others they are those of the softmax.
    """
    rows = scores.astype(np.float64)
    already = (rows.min(axis=1) >= 0) & (abs(rows.sum(axis=1) - 1) < SUM_TOLERANCE)
    found: Array = np.where(already[:, None], rows, softmax(rows, axis=1))
    return found


def sureness(values: Array, output: JudgedOutput) -> Array | None:
    """The share of the class that was decided: float64 [N]; None where whole numbers say only the class."""
    if output.kind is OutputKind.DECISIONS:
        return None
    rows = values.reshape(len(values), -1).astype(np.float64)
    if rows.shape[1] > 1:
        greatest: Array = shares(rows).max(axis=1)
        return greatest
    yes = rows[:, 0] if output.threshold else expit(rows[:, 0])
    surer: Array = np.maximum(yes, 1 - yes)
    return surer
