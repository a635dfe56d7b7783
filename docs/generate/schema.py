"""JSON schemas in the words of a table's cells."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

SIMPLE = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def words(schema: Schema, known: Schema) -> str:
    """The type that `schema` demands. known: the schemas that a `$ref` may name."""
    if "$ref" in schema:
        return _named(schema["$ref"].rpartition("/")[2], known)
    if "anyOf" in schema or "oneOf" in schema:
        return _union(schema.get("anyOf") or schema["oneOf"], known)
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return r" \| ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("type") == "array":
        return _list(schema, known)
    if schema.get("type") == "object":
        item = schema.get("additionalProperties")
        return f"mapping of names to {words(item, known)}" if isinstance(item, dict) and item else "mapping"
    if schema.get("format") == "path":
        return "path"
    return SIMPLE.get(schema.get("type", ""), "any value") + _bounds(schema)


def literal(value: object) -> str:
    """A value as YAML has it on one line."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value)}`"


def row(*cells: str) -> str:
    return f"| {' | '.join(' '.join(cell.split()) for cell in cells)} |"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [row(*heading), "|" + "---|" * len(heading), *(row(*cells) for cells in rows)]
    return "\n".join(lines).replace("|  |", "| |")


def references(schema: object) -> Iterable[str]:
    """The names of all schemas that `schema` refers to, in order."""
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for each in schema.values():
            yield from references(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from references(each)


def _named(name: str, known: Schema) -> str:
    return "a section, below" if known[name].get("type") == "object" else words(known[name], known)


def _union(members: Sequence[Schema], known: Schema) -> str:
    given = [each for each in members if each.get("type") != "null"]
    suffix = " or null" if len(given) < len(members) else ""
    if len(given) == 1:
        return words(given[0], known) + suffix
    sections = [known[name] for each in given for name in references(each)]
    if len(sections) < len(given):
        return " or ".join(words(each, known) for each in given) + suffix
    kinds = [each["properties"]["kind"]["const"] for each in sections if "kind" in each["properties"]]
    if kinds:
        return f"a section with `kind`: {', '.join(f'`{kind}`' for kind in kinds)}{suffix}"
    *others, last = [f"`{each['required'][0]}`" for each in sections]
    return f"a section with {', '.join(others)} or {last}{suffix}"


def _list(schema: Schema, known: Schema) -> str:
    if fixed := schema.get("prefixItems"):
        return f"list of {len(fixed)}: {words(fixed[0], known)}"
    return f"list of {words(schema['items'], known)}" if schema.get("items") else "list"


def _bounds(schema: Schema) -> str:
    found = [f"{sign} {schema[name]}" for name, sign in BOUNDS.items() if name in schema]
    return f" ({', '.join(found)})" if found else ""
