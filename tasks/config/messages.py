"""Turns pydantic's errors into messages in the words of the user's file: keys, lines and values."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from paddle_int8.tasks.config.choice import UNUSABLE
from paddle_int8.tasks.config.fields import (
    Place,
    choices,
    fixed_length,
    is_list,
    is_text,
    locate,
    members,
    spoken_of,
    words,
)
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.spoken import MismatchError
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.suggestion import CLEARLY_ALIKE, did_you_mean

Lines = Mapping[tuple[str | int, ...], int]
"""The line of each key path in the file."""
SHOWN = 80
NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake: what was found at a key, and what belongs there."""

    key: str
    found: str
    required: str


def config_error(
    error: ValidationError, kind: type[Section], remedy: str, lines: Lines | None = None
) -> ConfigError:
    """One error for all mistakes; its `found` and `required` have a part for each of them."""
    found = mistakes(error, kind, lines or {})
    keys: dict[str, list[str]] = defaultdict(list)
    for each in found:
        keys[each.required].append(f"`{each.key}`" if each.key else "the whole")
    named = [f"for {' and '.join(of)} {required}" for required, of in keys.items()]
    return ConfigError(
        found="; ".join(each.found for each in found),
        required="; ".join(named if len(keys) > 1 else keys),
        remedy=remedy,
    )


def variable_error(error: ValidationError, settings: type[BaseSettings]) -> ConfigError:
    """The error for wrong values in the environment, with the names of the variables."""
    prefix, found = settings.model_config.get("env_prefix", ""), []
    for item in error.errors():
        name = str(item["loc"][0])
        field = settings.model_fields[name]
        place = Place(
            path=(f"{prefix}{name}".upper(),),
            expected=field.annotation,
            section=Section,
            field=field,
            constraints=tuple(field.metadata),
        )
        found.append(_wrong_value(place, item["input"]))
    return ConfigError(
        found="; ".join(each.found for each in found),
        required="; ".join(each.required for each in found),
        remedy="correct the variable of the environment, or unset it",
    )


def mistakes(error: ValidationError, kind: type[Section], lines: Lines) -> list[Mistake]:
    """Every mistake once: pydantic also calls a list too short when it has dropped a wrong item from it."""
    items = error.errors()
    wrong = {item["loc"][:-1] for item in items}
    kept = [item for item in items if item["type"] != "too_short" or item["loc"] not in wrong]
    return list(dict.fromkeys(_mistake(item, kind, lines) for item in kept))


def _mistake(item: ErrorDetails, kind: type[Section], lines: Lines) -> Mistake:
    place = locate(kind, item["loc"])
    if item["type"] == "missing" and isinstance(place.path[-1], int):  # of a list of fixed length
        place = locate(kind, item["loc"][:-1])
        mistake = _wrong_value(place, item["input"])
    elif item["type"] in SPECIAL:
        mistake = SPECIAL[item["type"]](place, item)
    else:
        mistake = _wrong_value(place, item["input"])
    line = next((lines[each] for each in _upwards(place.path) if each in lines), None)
    where = f" (line {line})" if line else ""
    return replace(mistake, found=mistake.found + where)


def _wrong_value(place: Place, value: object) -> Mistake:
    key, known = place.key, choices(place.expected, place.constraints)
    found = f"`{key}` is {shown(value)}" if key else f"the configuration is {shown(value)}"
    near = did_you_mean(shown(value), known) if isinstance(value, str) else ""
    return Mistake(key=key, found=found + near, required=words(place) + _example(place, value))


def _example(place: Place, value: object) -> str:
    """A correct way to write the user's own value, to append to a message; empty where there is none."""
    name, spoken = place.path[-1] if place.path else "", spoken_of(place)
    if is_list(place.expected):
        items = _items(place, value)
        return f", such as `{name}: [{', '.join(items)}]`" if items else ""
    if value is None and place.field and not place.field.is_required():
        return f", or no `{name}` at all"
    if isinstance(value, str):
        mended = spoken.mend(value) if spoken and spoken.mend else _as_section(place, value)
        return f", such as `{name}: {mended}`" if mended else ""
    scalar = isinstance(value, (bool, int, float)) or hasattr(value, "isoformat")
    if scalar and is_text(place.expected):
        return f'; in quotes, as YAML takes it for something else: `{name}: "{shown(value)}"`'
    return ""


def _as_section(place: Place, value: str) -> str:
    """A plain text written as the one required key of a section: `my_model` becomes `{path: my_model}`."""
    kinds = members(place.expected).values()
    needed = [key for kind in kinds for key, field in kind.model_fields.items() if field.is_required()]
    return shown({needed[0]: value}) if len(needed) == 1 else ""


def _items(place: Place, value: object) -> list[str]:
    """The entries of a correct list made of the user's value: the value itself, or the numbers in its text.

    For a list of fixed length the entries are repeated or cut until they fit. Empty when nothing can be made.
    """
    fixed = fixed_length(place.expected)
    numbers = NUMBER.findall(value) if isinstance(value, str) else []
    if isinstance(value, list):
        items = [shown(each) for each in value] if fixed else []
    elif isinstance(value, str) and (numbers or not fixed):
        items = numbers or [shown([value])[1:-1]]
    else:
        items = [shown(value)] if isinstance(value, (int, float)) and not isinstance(value, bool) else []
    return (items * (fixed or 1))[: fixed or None]


def _unknown_key(place: Place, item: ErrorDetails) -> Mistake:
    key = item["input"] if item["type"] == "invalid_key" else item["loc"][-1]
    name = "null" if key is None else shown(key)
    place = replace(place, path=(*place.path[:-1], name))
    near = did_you_mean(name, place.section.model_fields) or _elsewhere(name, place)
    known = {key for each in _sections(Section) for key in each.model_fields}
    near = near or did_you_mean(name, known, alike=CLEARLY_ALIKE)
    around = ".".join(map(str, place.path[:-1]))
    keys = ", ".join(place.section.model_fields)
    return Mistake(
        key=place.key,
        found=f"unknown key `{place.key}`{near}",
        required=f"only the keys of {f'`{around}`' if around else 'a configuration'}: {keys}",
    )


def _elsewhere(name: str, place: Place) -> str:
    """Says where a misplaced key belongs: in another section, or in another `kind` of this one."""
    if "kind" in place.section.model_fields:
        kinds = [kind for kind, each in members(place.union).items() if name in each.model_fields]
        return "".join(f", which `kind: {kind}` has" for kind in kinds[:1])
    around = ".".join(map(str, place.path[:-1]))
    homes = [f"`{path}`" for path in _homes(ReleaseConfig, name) if path and path != around]
    return f", which belongs in {' or '.join(homes)}" if 0 < len(homes) <= 2 else ""


def _sections(kind: type[Section]) -> Iterable[type[Section]]:
    """Every section that a configuration may have."""
    for each in kind.__subclasses__():
        yield each
        yield from _sections(each)


def _homes(kind: type[Section], name: str, path: str = "") -> Iterable[str]:
    """The paths of the sections below `kind` that have this key."""
    if name in kind.model_fields:
        yield path
    for key, field in kind.model_fields.items():
        below = f"{path}.{key}".lstrip(".")
        for section in members(field.annotation).values():
            yield from _homes(section, name, below)


def _missing(place: Place, item: ErrorDetails) -> Mistake:
    required = words(place)
    if place.union and "kind" not in place.section.model_fields:
        around = replace(place, expected=place.union, constraints=())
        required += f", as `{'.'.join(map(str, place.path[:-1]))}` is {words(around)}"
    return Mistake(key=place.key, found=f"missing key `{place.key}`", required=required)


def _no_kind(place: Place, item: ErrorDetails) -> Mistake:
    key = f"{place.key}.kind"
    return Mistake(
        key=key, found=f"missing key `{key}`", required=f"one of {', '.join(members(place.expected))}"
    )


def _unknown_kind(place: Place, item: ErrorDetails) -> Mistake:
    key, known, kind = f"{place.key}.kind", tuple(members(place.expected)), item["input"].get("kind")
    return Mistake(
        key=key,
        found=f"`{key}` is {shown(kind)}{did_you_mean(kind, known)}",
        required=f"one of {', '.join(known)}",
    )


def _not_possible(place: Place, item: ErrorDetails) -> Mistake:
    """The message of this project's own checks, which find keys that do not go together."""
    error = item["ctx"]["error"]
    of_field = place.field is not None and not members(place.expected)
    together = words(place) if of_field else "keys that go together"
    return Mistake(
        key=place.key,
        found=f"`{place.key}`: {error}" if place.key else str(error),
        required=error.required if isinstance(error, MismatchError) else together,
    )


def _unusable_name(place: Place, item: ErrorDetails) -> Mistake:
    """A name that a registry knows, but whose record cannot be loaded."""
    error = item["ctx"]
    return Mistake(
        key=place.key,
        found=f"`{place.key}`: {error['found']}",
        required=f"{error['required']}; {error['remedy']}",
    )


def _too_short(place: Place, item: ErrorDetails) -> Mistake:
    return Mistake(
        key=place.key,
        found=f"`{place.key}` is {shown(item['input'])}",
        required=f"at least one entry: {words(place)}",
    )


SPECIAL = {
    "extra_forbidden": _unknown_key,
    "invalid_key": _unknown_key,
    "missing": _missing,
    "too_short": _too_short,
    UNUSABLE: _unusable_name,
    "union_tag_invalid": _unknown_kind,
    "union_tag_not_found": _no_kind,
    "value_error": _not_possible,
}
"""Errors that need a message of their own, by pydantic's type; all others are values that do not fit."""


def _upwards(path: Sequence[str | int]) -> Iterable[tuple[str | int, ...]]:
    return (tuple(path[:length]) for length in range(len(path), 0, -1))


def shown(value: object) -> str:
    """A value as YAML writes it, on one line of at most 80 characters."""
    if value is None:
        return "empty"
    if isinstance(value, str):
        text = value or "an empty text"
    else:
        try:
            text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
        except yaml.YAMLError:
            text = str(value)
    text = " ".join(text.removesuffix("\n").removesuffix("\n...").split())
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
