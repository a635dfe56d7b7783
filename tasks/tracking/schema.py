"""Builds the documents that `--json` prints. docs/reference/json-output.md describes them.

Each document names its schema, `paddle-int8/<command>/<version>`. Within a version, keys are added but never
removed or changed.
"""

from __future__ import annotations

import json
import math
from typing import Any

from paddle_int8.tasks.contracts.json import to_json
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.tracking.connection import redact

VERSION = 1


def summary_json(release: Release) -> dict[str, Any]:
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


def wrap(command: str, result: Any) -> dict[str, Any]:
    """The document of a command. `result` is one of the dataclasses that the commands return.

    NaN and infinite numbers, which JSON does not have, become null.
    """
    return {"schema": f"paddle-int8/{command}/{VERSION}", **_finite(json.loads(to_json(result)))}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
