"""Builds a step's cache key from everything that decides the step's result, and from nothing else.

Every parameter of a step counts, and so does every field of an artifact or of a section of the configuration,
unless its type is `Incidental[...]`. A forgotten declaration therefore only costs a needless computation; it
never brings back a wrong result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, get_type_hints

from pydantic import BaseModel, JsonValue
from pydantic_core import to_json, to_jsonable_python

from paddle_int8.tasks.contracts.stored_path import StoredPath

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
INCIDENTAL = "incidental"
Incidental = Annotated[T, INCIDENTAL]
"""Marks a value that decides no result: a time limit, the path of a log, how long a step took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What decides a step's result beyond its own functions, because an input of the step names it.

    modules: the code that counts, with all that it imports.
    packages: installed packages whose versions count.
    values: what else counts, by a name that no parameter of the step has.
    """

    modules: frozenset[str] = frozenset()
    packages: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)

    def __or__(self, other: Chosen) -> Chosen:
        """What decides in either of the two."""
        return Chosen(
            modules=self.modules | other.modules,
            packages=(*self.packages, *other.packages),
            values={**self.values, **other.values},
        )


def step_key(name: str, versions: Iterable[str], given: Mapping[str, JsonValue]) -> str:
    """The cache key of a step: SHA-256 over its name, the `versions` of code and engines, and its inputs.

    given: the inputs that decide the result, as `decisive_parameters` returns them.
    """
    digest = hashlib.sha256("\0".join((name, *versions)).encode())
    for parameter, value in sorted(given.items()):
        digest.update(f"\0{parameter}=".encode() + to_json(value, inf_nan_mode="constants"))
    return digest.hexdigest()


def decisive_parameters(
    function: Callable[..., object], parameters: Mapping[str, object]
) -> dict[str, JsonValue]:
    """The arguments that `function` is called with, as plain JSON values and without the incidental ones."""
    incidental = incidental_names(function)
    return {name: decisive(value) for name, value in parameters.items() if name not in incidental}


def decisive(value: object) -> JsonValue:
    """`value` as plain JSON values, without its incidental fields. Paths in the store become relative to it.

    Raises: PydanticSerializationError for a value that JSON cannot express, such as an array.
    """
    if isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type)):
        incidental = incidental_names(type(value))
        return {name: decisive(getattr(value, name)) for name in _fields(value) if name not in incidental}
    match value:
        case Mapping():
            return {str(decisive(name)): decisive(item) for name, item in value.items()}
        case tuple() | list():
            return [decisive(item) for item in value]
        case Enum():
            return decisive(value.value)
        case Path():
            return StoredPath(value).relative() or str(value)
    plain: JsonValue = to_jsonable_python(value)
    return plain


def named(given: Mapping[str, JsonValue], *path: str) -> str:
    """The name at a path of keys in decisive parameters, such as `quantized`, `candidate`, `layout`."""
    value: object = given
    for key in path:
        assert isinstance(value, Mapping)
        value = value[key]
    return str(value)


@cache
def incidental_names(declared: Callable[..., object]) -> frozenset[str]:
    """The names of the parameters of a function, or of the fields of a class, that are `Incidental`."""
    hints = get_type_hints(declared, include_extras=True)
    return frozenset(name for name, hint in hints.items() if INCIDENTAL in getattr(hint, "__metadata__", ()))


def _fields(value: BaseModel | DataclassInstance) -> Iterable[str]:
    if isinstance(value, BaseModel):
        return type(value).model_fields
    return [each.name for each in fields(value)]
