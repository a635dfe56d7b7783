"""The keys of a section of the configuration: what its class says of itself, and a table of its fields."""

from __future__ import annotations

from functools import cache
from typing import Any

from docs.generate.schema import literal, table, words
from paddle_int8.tasks.config.retraining import RetrainConfig

COLUMNS = ("key", "value", "default", "")


def keys(section: str) -> str:
    """section: the name of the class, such as `GateConfig`."""
    known = sections()
    schema = known[section]
    required = schema.get("required", ())
    rows = [
        (f"`{name}`", words(field, known), _default(name, field, required), field.get("description", ""))
        for name, field in schema["properties"].items()
    ]
    return f"{schema.get('description', '')}\n\n{table(COLUMNS, rows)}"


@cache
def sections() -> dict[str, Any]:
    """The schema of every section by the name of its class; a retraining has all others within it."""
    whole = RetrainConfig.model_json_schema()
    found: dict[str, Any] = whole.pop("$defs")
    return {name: found[name] for name in found} | {RetrainConfig.__name__: whole}


def _default(name: str, field: dict[str, Any], required: tuple[str, ...]) -> str:
    if name in required:
        return "**required**"
    if "$ref" in field:
        return "each key's own" if isinstance(field.get("default"), dict) else literal(field.get("default"))
    return literal(field["default"]) if "default" in field else "`{}`"
