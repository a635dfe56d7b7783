"""A callable source of sequences, of which the second is empty."""

from __future__ import annotations

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.data.sources.callable import CallableSource

CONFIG = CallableSource(kind="callable", function="tests.unit.sequence_source:sentences")


def sentences() -> tuple[list[Array], list[Array]]:
    inputs = [np.ones((3, 1), np.int64), np.ones((0, 1), np.int64)]
    return inputs, [np.zeros(2, np.int64), np.zeros(1, np.int64)]
