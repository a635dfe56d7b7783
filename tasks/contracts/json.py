"""Any frozen type of this package as JSON, and back."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def to_json(value: Any) -> str:
    """JSON of any dataclass above, indented, keys in field order."""
    return TypeAdapter(type(value)).dump_json(value, indent=2).decode()


def from_json(kind: type[T], text: str | bytes) -> T:
    """The dataclass back from `to_json`."""
    return TypeAdapter(kind).validate_json(text)
