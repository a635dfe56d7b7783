"""Attributes of PIR operators as those of Paddle 2.6, whose types are declared. Isolated process only."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from paddle_int8.tasks.engines.paddle.pir.program import DataType, Plain
from paddle_int8.tasks.engines.paddle.private.operators import scalar

DATA_TYPES = {
    "Undefined": -1,
    "bool": 0,
    "int16": 1,
    "int32": 2,
    "int64": 3,
    "float16": 4,
    "float32": 5,
    "float64": 6,
    "uint8": 20,
    "int8": 21,
    "bfloat16": 22,
    "complex64": 23,
    "complex128": 24,
}
"""Numbers of data types in framework.proto, by the names that PIR has for them."""
CONVERSIONS: Mapping[str, Callable[[Plain], object]] = {
    "BOOLEAN": bool,
    "INT": int,
    "LONG": int,
    "FLOAT": float,
    "FLOAT64": float,
    "STRING": str,
    "SCALAR": scalar,
    "BOOLEANS": bool,
    "INTS": int,
    "LONGS": int,
    "FLOATS": float,
    "FLOAT64S": float,
    "STRINGS": str,
    "SCALARS": scalar,
}
"""What makes an attribute, or each element of a list, by the names of types in framework.proto."""


def as_attribute(value: Plain, kind: str) -> object:
    """A value as an attribute of the type `kind` of framework.proto; other types stay as they are."""
    convert = CONVERSIONS.get(kind)
    if convert is None:
        return value
    if is_list(kind):
        return [convert(_plain(each)) for each in (value if isinstance(value, list | tuple) else [value])]
    return convert(_plain(value))


def is_list(kind: str) -> bool:
    return kind.endswith("S")


def _plain(value: Plain) -> Plain:
    return DATA_TYPES[value] if isinstance(value, DataType) else value
