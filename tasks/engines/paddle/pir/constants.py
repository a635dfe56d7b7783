"""What a PIR program computes from nothing: shapes, axes and scalars, which Paddle 2.6 wants as attributes.

Loads no Paddle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.engines.paddle.pir.program import Attributes, Operation

Operands = Sequence[Any]
"""The values of operands, all known: arrays, and of a row a list of them."""

LARGEST = 4096
"""Elements of a tensor beyond which it is computed when the program runs: no shape is that long."""
IN_NUMPY = {"bfloat16": "float32"}
"""NumPy has no such type."""


def fold(operation: Operation, operands: Sequence[Array | Sequence[Array] | None]) -> Array | None:
    """The value of the operator's only result, or None where it is not known before the program runs.

    operands: the values of its operands, each None where it is not known.
    """
    folding = FOLDING.get(operation.name)
    if folding is None or any(operand is None for operand in operands):
        return None
    return folding(operation.attributes, operands)


def _full(attributes: Attributes, operands: Operands) -> Array | None:
    shape = attributes["shape"]
    if math.prod(shape) > LARGEST:
        return None
    return np.full(shape, attributes["value"], _numpy_type(attributes["dtype"]))


def _full_int_array(attributes: Attributes, operands: Operands) -> Array:
    return np.array(attributes["value"], np.int64)


def _assign_value(attributes: Attributes, operands: Operands) -> Array | None:
    if len(attributes["values"]) > LARGEST:
        return None
    return np.array(attributes["values"], _numpy_type(attributes["dtype"])).reshape(attributes["shape"])


def _stack(attributes: Attributes, operands: Operands) -> Array:
    return np.stack(operands[0], attributes["axis"])


def _concat(attributes: Attributes, operands: Operands) -> Array:
    return np.concatenate(operands[0], int(operands[1].item()))


def _cast(attributes: Attributes, operands: Operands) -> Array:
    return np.asarray(operands[0]).astype(_numpy_type(attributes["dtype"]))


def _numpy_type(dtype: str) -> str:
    return IN_NUMPY.get(dtype, dtype)


FOLDING: Mapping[str, Callable[[Attributes, Operands], Array | None]] = {
    "pd_op.full": _full,
    "pd_op.full_int_array": _full_int_array,
    "pd_op.assign_value": _assign_value,
    "pd_op.assign_value_": _assign_value,
    "pd_op.stack": _stack,
    "pd_op.concat": _concat,
    "pd_op.cast": _cast,
}
