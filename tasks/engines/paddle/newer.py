"""Puts a program that Paddle 3 wrote in the older form (`.pdmodel`) into what Paddle 2.6 reads.

Isolated process only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.engines.paddle.pir.exceptions import end_of_slice
from paddle_int8.tasks.engines.paddle.pir.table import rules
from paddle_int8.tasks.engines.paddle.private.programs import name_of_stored_type

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Attribute, StoredOperator, StoredProgram

INTS, FLOATS, LONGS, FLOAT64S = 3, 4, 11, 12
"""Types of attributes, as framework.proto numbers them."""
FIRST = 3_000_000
"""The number of the version 3.0.0 in a program's file."""
VALUES = "values"
TYPED: Mapping[str, tuple[str, int, str, Callable[[float], float]]] = {
    "BOOL": ("bool_values", INTS, "ints", int),
    "INT32": ("int32_values", INTS, "ints", int),
    "INT64": ("int64_values", LONGS, "longs", int),
    "FP32": ("fp32_values", FLOATS, "floats", float),
    "FP64": ("fp64_values", FLOAT64S, "float64s", float),
}
"""By the type of the numbers: the attribute of `assign_value`, its type in a file, and the field there."""


def is_newer(desc: StoredProgram) -> bool:
    """Whether Paddle 3 wrote the program."""
    return int(desc.version.version) >= FIRST


def written_by(desc: StoredProgram) -> str:
    """`Paddle 3.3.1` for a program that Paddle 3 wrote in the older form; "" for one of Paddle 2."""
    if not is_newer(desc):
        return ""
    major, rest = divmod(int(desc.version.version), 1_000_000)
    minor, patch = divmod(rest, 1_000)
    return f"Paddle {major}.{minor}.{patch}"


def adapt(desc: StoredProgram, path: Path) -> int:
    """Changes operators of newer versions, in place; returns how many.

    `assign_value` holds its numbers in one attribute for all types, and a backward `strided_slice` ends at
    the least integer. Other differences are attributes that Paddle 2.6 does not know and would ignore.
    Raises: ModelFormatError, naming `path`, when such an attribute has a value that changes the answer.
    """
    operators = [op for block in desc.blocks for op in block.ops]
    if unfit := dict.fromkeys(said for op in operators for said in _unknown(op)):
        raise ModelFormatError(
            found=f"{path}, which Paddle 3 wrote: {', '.join(unfit)}",
            required="what the operators of Paddle 2.6 can do",
            remedy="export the model without it",
        )
    return sum(CHANGES[op.type](op) for op in operators if op.type in CHANGES)


def _unknown(op: StoredOperator) -> list[str]:
    harmless = _new_attributes().get(op.type, {})
    return [
        f"{op.type} with {attribute.name} = {value}, which Paddle 2.6 does not know"
        for attribute in op.attrs
        if attribute.name in harmless and (value := _value(attribute)) != harmless[attribute.name]
    ]


@cache
def _new_attributes() -> Mapping[str, Mapping[str, object]]:
    """Attributes that operators of Paddle 2.6 lack, each with the value with which it changes nothing."""
    found: dict[str, dict[str, object]] = {}
    for rule in rules().values():
        found.setdefault(rule.legacy, {}).update(rule.new)
    return found


def _value(attribute: Attribute) -> object:
    """The value of an attribute that holds one number or truth."""
    (value,) = (value for field, value in attribute.ListFields() if field.name not in ("name", "type"))
    return value


def _assigned(op: StoredOperator) -> bool:
    """Gives `assign_value` its numbers in the attribute for their type."""
    values = next((each for each in op.attrs if each.name == VALUES), None)
    if values is None:
        return False
    number = next(each.i for each in op.attrs if each.name == "dtype")
    name, kind, field, convert = TYPED[name_of_stored_type(number)]
    typed = op.attrs.add(name=name, type=kind)
    getattr(typed, field).extend(convert(each.b or each.i or each.r) for each in values.scalars)
    op.attrs.remove(values)
    return True


def _sliced(op: StoredOperator) -> bool:
    """Ends backward slices at -1, as Paddle 2.6 does."""
    ends, strides = (
        next(each.ints for each in op.attrs if each.name == name) for name in ("ends", "strides")
    )
    changed = [end_of_slice(end, stride) for end, stride in zip(ends, strides, strict=False)]
    if len(changed) != len(ends) or changed == list(ends):
        return False
    ends[:] = changed
    return True


CHANGES: Mapping[str, Callable[[StoredOperator], bool]] = {
    "assign_value": _assigned,
    "strided_slice": _sliced,
}
