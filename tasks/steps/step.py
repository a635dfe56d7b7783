"""Defines steps for every `task.py`: what a step is, when a result is reused, how progress is reported."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, ParamSpec, TypedDict, TypeVar

import prefect
from prefect.context import TaskRunContext
from prefect.runtime import flow_run
from pydantic import JsonValue

from paddle_int8.tasks.config.callables import modules_named
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.keys import Chosen, decisive, decisive_parameters, step_key
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.process.host_lock import WAIT
from paddle_int8.tasks.process.isolated import record_usage
from paddle_int8.tasks.steps.closure import code_digest
from paddle_int8.tasks.steps.prefect_private import keep_results_in
from paddle_int8.tasks.steps.results import ArtifactSerializer, ResultFolder, declared
from paddle_int8.tasks.store.sharing import fetch, publish

ENGINES = ("paddlepaddle", "paddleslim", "numpy")
P = ParamSpec("P")
T = TypeVar("T")


class Kept(TypedDict):
    """The policy of a step whose result is kept under its key."""

    persist_result: bool
    cache_key_fn: Callable[[TaskRunContext, dict[str, Any]], str]


def step(*, name: str, **policy: Any) -> Callable[[Callable[P, T]], prefect.Task[P, T]]:
    """A decorator like `prefect.task`, for functions that take and return artifacts.

    A run of it is called `name`, as on the terminal, unless `task_run_name` says more.
    Before the function runs, the files of its artifacts are fetched to this host; afterwards those that it
    made are published to the shared store. The return type must be annotated, because the result of a cached
    step (`@step(..., **cached(...))`) is read back as that type.
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
        named = {"name": name, "task_run_name": name} | policy
        return keep_results_in(prefect.task(**named, result_serializer=serializer)(run), ResultFolder())

    return decorate


def step_name(function: Callable[..., object]) -> str:
    """`module:function`, which is the same on every host. Prefect's own task key contains a file's path."""
    return f"{function.__module__}:{function.__name__}"


@contextmanager
def _waiting_told() -> Iterator[None]:
    """Writes to the run's log, which Prefect's pages show, that this thread waits for the host lock."""
    thread = threading.get_ident()

    def hear(event: progress.Progress) -> None:
        if event.step == WAIT and event.note and threading.get_ident() == thread:
            prefect.get_run_logger().info(event.note)

    with progress.listen(hear):
        yield


def cached(
    *functions: Callable[..., object], chosen: Callable[[Mapping[str, JsonValue]], Chosen] | None = None
) -> Kept:
    """The policy of a step whose result is kept, and taken again for equal inputs, code and engines.

    functions: what the step runs. Their modules, and all that these import, are the code that counts. There
    are none where the step's own inputs say which code counts.
    chosen: says what else counts, given the step's decisive parameters as plain JSON values, such as the code
    of the layout that a candidate names.
    """
    modules = tuple(sorted({function.__module__ for function in functions}))
    key = partial(content_key, modules, chosen=chosen)
    return {"persist_result": True, "cache_key_fn": key}


def content_key(
    modules: tuple[str, ...],
    context: TaskRunContext,
    parameters: Mapping[str, object],
    chosen: Callable[[Mapping[str, JsonValue]], Chosen] | None = None,
) -> str:
    """The cache key of a step: see `tasks.contracts.keys`.

    Functions and records that its parameters name, such as a metric, are code of the step as `modules` are.
    """
    name = step_name(context.task.fn)
    given = decisive_parameters(declared(name), parameters)
    more = chosen(given) if chosen else Chosen()
    code = {*modules, *more.modules}
    digests = code_digests({*code, *modules_named(given)}) if code else ()
    return step_key(
        name,
        (*digests, *engines(more.packages)),
        given | {key: decisive(value) for key, value in more.values.items()},
    )


def own_key() -> str:
    """The cache key of the cached step that is running."""
    context = TaskRunContext.get()
    if context is None or context.task.cache_key_fn is None:
        raise RuntimeError("no cached step is running")
    key = context.task.cache_key_fn(context, context.parameters)
    assert key is not None
    return key


def code_digests(modules: Iterable[str]) -> tuple[str, ...]:
    """The code digests of `modules`, one for each top-level package that they belong to."""
    tops = groupby(sorted(modules), key=lambda name: name.partition(".")[0])
    return tuple(code_digest(*names) for _, names in tops)


def engines(more: Iterable[str] = ()) -> tuple[str, ...]:
    """The packages that compute, and `more` of them, with their versions."""
    return tuple(f"{name}=={version(name)}" for name in dict.fromkeys((*ENGINES, *more)))


def step_log(name: str) -> Path:
    """The file for everything that a step prints; each flow run has a folder and each step a file in it."""
    return Settings().root / "logs" / str(flow_run.id or "no-flow") / f"{name}.log"


@contextmanager
def stage(name: str, *, here: bool = False) -> Iterator[list[str]]:
    """Reports a step as `progress.stage` does.

    here: whether the step works in this process, so that its time and memory are recorded as those of an
    isolated process are.
    """
    began = time.monotonic()
    with progress.stage(name) as summary:
        yield summary
        if here:
            record_usage(name, step_log(name).parent, began)
