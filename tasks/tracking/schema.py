"""Builds the documents that `--json` prints. docs/reference/json-output.md describes them.

Each document names its schema, `paddle-int8/<command>/<version>`. Within a version, keys are added but never
removed or changed.
"""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import JsonValue

from paddle_int8.tasks.contracts.json import to_json
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.tracking.connection import redact

VERSION = 1
Document = dict[str, Any]
"""JSON, whose keys and types docs/reference/json-output.md lists."""


def summary_json(release: Release) -> Document:
    """The document `paddle-int8/release/1`: the release without raw timings, candidates with verdicts."""
    document = wrap("release", release)
    verdicts = {json.dumps(item.pop("candidate")): item for item in document.pop("verdicts")}
    for evidence in document["evidence"]:
        del evidence["host"]
        others = [each["measured"] for each in evidence["runtimes"] if each["measured"]]
        for measured in (*evidence["per_isa"], *others):
            del measured["latency"]["samples_ms"]
        evidence["verdict"] = verdicts.get(json.dumps(evidence["candidate"]))
    document["candidates"] = document.pop("evidence")
    document["tracking_uri"] = redact(release.tracking_uri)
    return document


def wrap(command: str, result: object) -> Document:
    """The document of a command. `result` is one of the dataclasses that the commands return.

    NaN and infinite numbers, which JSON does not have, become null.
    """
    return {
        "schema": f"paddle-int8/{command}/{VERSION}",
        **{key: _finite(value) for key, value in json.loads(to_json(result)).items()},
    }


def _finite(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
