"""What every `task.py` shares: what a step is, when it may be reused, and how it shows where it is."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import prefect
from prefect.context import TaskRunContext
from prefect.runtime import flow_run
from pydantic import TypeAdapter

from tasks import progress
from tasks.host_lock import WAIT
from tasks.process import record_usage
from tasks.results.task import ArtifactSerializer, ResultFolder
from tasks.settings import Settings
from tasks.sharing import fetch, publish
from tasks.stored_path import PORTABLE

ENGINES = ("paddlepaddle", "paddleslim", "numpy")
P = ParamSpec("P")
T = TypeVar("T")


def step(**policy: Any) -> Callable[[Callable[P, T]], prefect.Task[P, T]]:
    """`prefect.task` for functions of artifacts: their files are here before it runs, and everywhere after.

    What it returns must be annotated, for a cached one (`**CACHED`) is read back as that type.
    """

    def decorate(function: Callable[P, T]) -> prefect.Task[P, T]:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            fetch((args, kwargs))
            with _waiting_told():
                made = function(*args, **kwargs)
            publish(made)
            return made

        serializer = ArtifactSerializer(step=step_name(function))
        made = prefect.task(**policy, result_serializer=serializer)(run)
        made.result_storage = ResultFolder()  # Prefect's decorator takes only what a server has stored
        return made

    return decorate


def step_name(function: Callable[..., Any]) -> str:
    """`module:function`: the same on every host, where Prefect's task key holds the source file's path."""
    return f"{function.__module__}:{function.__name__}"


@contextmanager
def _waiting_told() -> Iterator[None]:
    """Has the run's log, on Prefect's pages, say that the step of this thread waits for the host."""
    thread = threading.get_ident()

    def hear(event: progress.Progress) -> None:
        if event.step == WAIT and not event.ended and threading.get_ident() == thread:
            prefect.get_run_logger().info(event.note)

    with progress.listen(hear):
        yield


def content_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Cache key of a step: its name, its inputs' content, this project's code and the engines.

    Inputs are frozen artifacts that carry digests, so equal keys mean equal content. The code is part
    of the key because a result of older code is not a result of this one.
    """
    return input_key(context, {**parameters, "code": code_digest()})


def input_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Cache key of a step whose own inputs say which code it runs: its name, inputs and engines."""
    digest = hashlib.sha256("\0".join((step_name(context.task.fn), *engines())).encode())
    for name, value in sorted(parameters.items()):
        digest.update(f"\0{name}=".encode() + TypeAdapter(type(value)).dump_json(value, context=PORTABLE))
    return digest.hexdigest()


def engines() -> tuple[str, ...]:
    """The packages that compute, with their versions."""
    return tuple(f"{name}=={version(name)}" for name in ENGINES)


@cache
def code_digest() -> str:
    """Of this project's own code below `tasks/`."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def step_log(name: str) -> Path:
    """Where a step's native output goes: one folder a flow run, one file a step."""
    return Settings().root / "logs" / str(flow_run.id or "no-flow") / f"{name}.log"


CACHED: dict[str, Any] = {"persist_result": True, "cache_key_fn": content_key}


@contextmanager
def stage(name: str, *, here: bool = False) -> Iterator[list[str]]:
    """Reports the beginning and the end of a step; what is appended to the list is its summary line.

    `here`: the step works in this process, so its usage is recorded as that of isolated processes is.
    """
    summary: list[str] = []
    began = time.monotonic()
    progress.report(name, 0, 0)
    ended = progress.FAILED
    try:
        yield summary
        if here:
            record_usage(name, step_log(name).parent, began)
        ended = " · ".join(summary) or "done"
    finally:
        progress.end(name, ended)
