"""The keys and types of what `--json` prints, from the frozen classes that are printed."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema

from docs.generate.schema import references, table, words
from paddle_int8.tasks.contracts.artifacts import Bundle, HostProfile
from paddle_int8.tasks.contracts.evidence import KernelAudit
from paddle_int8.tasks.contracts.sensitivity import Sensitivity
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.drafting.draft import Draft
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.preview.findings import Check
from paddle_int8.tasks.promotion.decision import Decision
from paddle_int8.tasks.promotion.ledger import History

OTHERS: dict[str, type[Any]] = {
    "init": Draft,
    "check": Check,
    "hardware": HostProfile,
    "audit": KernelAudit,
    "convert": ConvertedModel,
    "sensitivity": Sensitivity,
    "promote": Decision,
    "history": History,
    "export": Bundle,
}
"""What each command but `release` prints; `rollback` prints what `promote` does."""
LEFT_OUT = {"CandidateEvidence": "host", "Verdict": "candidate", "LatencyEvidence": "samples_ms"}


class _Schema(GenerateJsonSchema):
    def handle_invalid_for_json_schema(self, schema: CoreSchema, error_info: str) -> dict[str, Any]:
        """A path of the store, which checks itself."""
        return {"type": "string", "format": "path"}


def documents(_name: str) -> str:
    """A table for each document, and one for each kind of object within them."""
    release, known = release_shape()
    tops = {"release": release}
    tops |= {name: _document(kind, known) for name, kind in OTHERS.items()}
    reached = _reachable(tops, known)
    parts = [f"### `paddle-int8/{name}/1`\n\n{_table(schema, known)}" for name, schema in tops.items()]
    parts += [_object(name, known) for name in sorted(known) if name in reached and _is_object(known[name])]
    return "\n\n".join(parts)


def release_shape() -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of the document of `release`, and those of the objects in it by name.

    It is what `summary_json` makes: each candidate with its verdict, without raw timings.
    """
    known: dict[str, Any] = {}
    keys = _document(Release, known)["properties"]
    del keys["verdicts"]
    keys["candidates"] = keys.pop("evidence")
    for name, left_out in LEFT_OUT.items():
        _leave_out(known[name], left_out)
    known["CandidateEvidence"]["properties"]["verdict"] = {
        "anyOf": [{"$ref": "#/$defs/Verdict"}, {"type": "null"}]
    }
    return {"properties": keys}, known


def _document(kind: type[Any], known: dict[str, Any]) -> dict[str, Any]:
    schema = _described(kind, known)
    return schema | {"properties": {"schema": {"type": "string"}, **schema["properties"]}}


def _described(kind: type[Any], known: dict[str, Any]) -> dict[str, Any]:
    schema = TypeAdapter(kind).json_schema(mode="serialization", schema_generator=_Schema)
    known |= schema.pop("$defs", {})
    return schema


def _leave_out(schema: dict[str, Any], key: str) -> None:
    schema["properties"] = {name: each for name, each in schema["properties"].items() if name != key}


def _object(name: str, known: dict[str, Any]) -> str:
    return f"### `{name}`\n\n{known[name].get('description', '')}\n\n{_table(known[name], known)}"


def _reachable(tops: dict[str, Any], known: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = [name for top in tops.values() for name in references(top["properties"])]
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += references(known[name].get("properties", {}))
    return found


def _is_object(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object"


def _table(schema: dict[str, Any], known: dict[str, Any]) -> str:
    rows = ((f"`{name}`", _words(each, known)) for name, each in schema["properties"].items())
    return table(("key", "type"), rows)


def _words(schema: dict[str, Any], known: dict[str, Any]) -> str:
    """The words for a type, as in a configuration, but with the name of an object instead of "a section"."""
    objects = [name for name in references(schema) if _is_object(known[name])]
    said = words(schema, known)
    return said.replace("a section, below", f"`{objects[0]}`") if objects else said
