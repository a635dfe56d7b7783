"""Writes any dataclass of this package as JSON, and reads it back."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def to_json(value: object) -> str:
    """Any dataclass of this package as indented JSON, with its keys in the order of the fields."""
    return TypeAdapter(type(value)).dump_json(value, indent=2).decode()


def from_json(kind: type[T], text: str | bytes) -> T:
    """The dataclass of type `kind` that `to_json` wrote."""
    return TypeAdapter(kind).validate_json(text)
