"""Finds where in the user's file a mistake is, and says in words what belongs there.

Both come from the types and constraints of the sections' own fields, so that no second list of rules exists.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import Tag
from pydantic.fields import FieldInfo

from paddle_int8.tasks.config.choice import Choice
from paddle_int8.tasks.config.kinds import OneOfKinds
from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.spoken import Spoken

UNIONS = (Union, types.UnionType)
SIMPLE: dict[object, str] = {
    bool: "true or false",
    str: "text",
    Path: "a path",
    dict: "a mapping of names to values",
}
LIMITS = {"gt": "above", "ge": "from", "lt": "below", "le": "up to"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One key path of the user's file, such as `data.calibration.path`, and what belongs there.

    path: the keys and list positions from the top of the file.
    expected: the type of the value; None where the sections know no such key.
    section: the section that the key stands in.
    constraints: what is required beyond the type, such as limits.
    union: the union of sections, when `section` is one of several that could stand there.
    """

    path: tuple[str | int, ...]
    expected: object
    section: type[Section]
    field: FieldInfo | None
    constraints: tuple[object, ...]
    union: object = None

    @property
    def key(self) -> str:
        return ".".join(map(str, self.path))


def locate(kind: type[Section], location: Sequence[str | int]) -> Place:
    """The key path of pydantic's error. `location` also names members of unions, which no file has."""
    place = Place(path=(), expected=kind, section=kind, field=None, constraints=())
    for part in location:
        place = _inside(place, part)
    return place


def _inside(place: Place, part: str | int) -> Place:
    expected, path = _bare(place.expected), (*place.path, part)
    if len(kinds := members(expected)) > 1:
        return replace(place, expected=kinds.get(str(part)), constraints=(), union=expected)
    if kinds:
        section = next(iter(kinds.values()))
        field = section.model_fields.get(str(part))
        expected = field.annotation if field else None
        constraints = (*field.metadata, *_of(field.annotation)) if field else ()
        return Place(
            path=path,
            expected=expected,
            section=section,
            field=field,
            constraints=constraints,
            union=place.union,
        )
    items = get_args(expected)
    if get_origin(expected) is tuple and isinstance(part, int):
        item = items[0] if items[-1] is Ellipsis or part >= len(items) else items[part]
    else:
        item, path = (str, place.path) if part == "[key]" else (None, path)
    return Place(path=path, expected=item, section=place.section, field=place.field, constraints=_of(item))


def members(expected: object) -> dict[str, type[Section]]:
    """The section in an annotation, or all sections of a union, by their `kind` or by pydantic's tag."""
    bare = _bare(expected)
    found: dict[str, type[Section]] = {}
    for each in get_args(bare) if get_origin(bare) in UNIONS else (bare,):
        section = _bare(each)
        if isinstance(section, type) and issubclass(section, OneOfKinds) and (kinds := section.kinds()):
            found |= kinds
        elif isinstance(section, type) and issubclass(section, Section):
            tags = [mark.tag for mark in _of(each) if isinstance(mark, Tag)]
            kind = section.model_fields.get("kind")
            found[(*tags, *(get_args(kind.annotation) if kind else ()), "")[0]] = section
    return found


def choices(expected: object, constraints: Sequence[object] = ()) -> tuple[str, ...]:
    """The values of an enumeration or a literal type, or the names in a registry."""
    bare = _bare(expected)
    for each in (*constraints, *_of(expected)):
        if isinstance(each, Choice) and bare is str:
            return each.names()
    if isinstance(bare, type) and issubclass(bare, Enum):
        return tuple(str(each.value) for each in bare)
    return tuple(map(str, get_args(bare))) if get_origin(bare) is Literal else ()


def is_list(expected: object) -> bool:
    return get_origin(_bare(expected)) is tuple


def fixed_length(expected: object) -> int:
    """How many entries a list must have; 0 when any number will do."""
    items = get_args(_bare(expected))
    return 0 if not items or items[-1] is Ellipsis else len(items)


def is_text(expected: object) -> bool:
    return _bare(expected) in (str, Path)


def words(place: Place) -> str:
    """What is required at a key path, in words, such as `a number above 0`."""
    longest = next((each.max_length for each in place.constraints if hasattr(each, "max_length")), None)
    said = (
        spoken.said()
        if (spoken := spoken_of(place))
        else _said(place.expected, place.constraints) + _limits(place.constraints)
    )
    return f"{said}, at most {longest} characters" if longest and _bare(place.expected) is str else said


def spoken_of(place: Place) -> Spoken | None:
    """The words in which a field itself says what it requires, if it does."""
    return next((each for each in place.constraints if isinstance(each, Spoken)), None)


def _said(expected: object, constraints: Sequence[object] = ()) -> str:
    bare = _bare(expected)
    if known := choices(expected, constraints):
        return f"one of {', '.join(known)}"
    if kinds := members(bare):
        return _section_said(kinds)
    if is_list(bare):
        items = get_args(bare)
        each = _said(items[0]) + _limits(_of(items[0]))
        return f"a list{'' if items[-1] is Ellipsis else f' of {len(items)}'}, each entry {each}"
    if bare in (int, float):
        return "a whole number" if bare is int else "a number"
    return SIMPLE.get(get_origin(bare) or bare, "another value")


def _section_said(kinds: dict[str, type[Section]]) -> str:
    first, *others = kinds.values()
    if not others:
        return f"a section of the keys {', '.join(first.model_fields)}"
    if "kind" in first.model_fields:
        return f"a section with `kind`, one of {', '.join(kinds)}"
    fields = [each.model_fields.items() for each in kinds.values()]
    keys = [next(name for name, field in each if field.is_required()) for each in fields]
    return f"a section with {', '.join(f'`{key}`' for key in keys[:-1])} or `{keys[-1]}`"


def _limits(constraints: Sequence[object]) -> str:
    """The limits of a number in words, such as ` above 0 and up to 1`."""
    found = [
        f"{word} {limit}"
        for name, word in LIMITS.items()
        for each in constraints
        if (limit := getattr(each, name, None)) is not None
    ]
    return f" {' and '.join(found)}" if found else ""


def _of(expected: object) -> tuple[object, ...]:
    """The constraints that an annotation itself carries, also inside `... | None`."""
    if get_origin(expected) in UNIONS:
        given = [each for each in get_args(expected) if each is not type(None)]
        return _of(given[0]) if len(given) == 1 else ()
    return tuple(_flat(get_args(expected)[1:])) if get_origin(expected) is Annotated else ()


def _flat(metadata: Sequence[object]) -> Iterator[object]:
    for each in metadata:
        yield from each.metadata if isinstance(each, FieldInfo) else (each,)


def _bare(expected: object) -> object:
    """An annotation without its constraints and without `| None`."""
    if get_origin(expected) is Annotated:
        return _bare(get_args(expected)[0])
    if get_origin(expected) in UNIONS:
        given = [each for each in get_args(expected) if each is not type(None)]
        return _bare(given[0]) if len(given) == 1 else expected
    return expected
