"""What every `task.py` shares: when a step may be reused, and how it shows where it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prefect.context import TaskRunContext
from prefect.runtime import flow_run
from pydantic import TypeAdapter

from tasks import progress
from tasks.settings import Settings

ENGINES = ("paddlepaddle", "paddleslim", "numpy")


def content_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Cache key of a step: its task, its inputs' content, this project's code and the engines.

    Inputs are frozen artifacts that carry digests, so equal keys mean equal content. The code is part
    of the key because a result of older code is not a result of this one.
    """
    return input_key(context, {**parameters, "code": _code_digest()})


def input_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Cache key of a step whose own inputs say which code it runs: its task, inputs and engines."""
    digest = hashlib.sha256("\0".join((context.task.task_key, *_engines())).encode())
    for name, value in sorted(parameters.items()):
        digest.update(f"\0{name}=".encode() + TypeAdapter(type(value)).dump_json(value))
    return digest.hexdigest()


def _engines() -> tuple[str, ...]:
    return tuple(f"{name}=={version(name)}" for name in ENGINES)


@cache
def _code_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def step_log(name: str) -> Path:
    """Where a step's native output goes: one folder a flow run, one file a step."""
    return Settings().root / "logs" / str(flow_run.id or "no-flow") / f"{name}.log"


CACHED: dict[str, Any] = {
    "persist_result": True,
    "cache_key_fn": content_key,
    "result_serializer": "json",  # nothing is unpickled from the result storage
}


@contextmanager
def stage(name: str) -> Iterator[list[str]]:
    """Reports the beginning and the end of a step; what is appended to the list is its summary line."""
    summary: list[str] = []
    progress.report(name, 0, 0)
    ended = progress.FAILED
    try:
        yield summary
        ended = " · ".join(summary) or "done"
    finally:
        progress.end(name, ended)
