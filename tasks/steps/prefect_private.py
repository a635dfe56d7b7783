"""The only module that uses what is not public in Prefect.

Each function looks for what it uses before its first use, so that another Prefect is refused at once instead
of behaving differently. docs/upgrading.md says what to check. Importing this module does not load Prefect.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from paddle_int8.tasks.contracts.borrowed import Borrowed

if TYPE_CHECKING:
    from fastapi import FastAPI
    from prefect import Task
    from prefect.filesystems import WritableFileSystem
    from prefect.task_runners import TaskRunner

FLOW_RUN_ID = "PREFECT__FLOW_RUN_ID"
"""Prefect sets this variable for a flow run of a deployment; `tasks/config/settings.py` reads it."""

EPHEMERAL = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",  # for its log, which shows why it did not start
}
"""The settings of Prefect's own temporary server (`SubprocessASGIServer` of prefect.server.api.server).

It has no pages, and only those services that record runs.
"""

ADAPTER = "tasks/steps/prefect_private.py"
RUNS = Borrowed(
    package="prefect",
    release="3.8",
    adapter=ADAPTER,
    names={
        "prefect.context:FlowRunContext": ("get", "model_copy"),
        "prefect.context:FlowRunContext.model_fields": ("task_runner",),
        "prefect.results:ResultRecord": ("serialize_metadata",),
        "prefect.results:ResultRecordMetadata.model_fields": ("serializer",),
    },
    fields={
        "prefect.results:ResultStore": ("_resolve_path",),
        "prefect.runtime.flow_run:get_id": (FLOW_RUN_ID,),
        "prefect.tasks:Task": ("result_storage",),
    },
)
SERVER = Borrowed(
    package="prefect",
    release="3.8",
    adapter=ADAPTER,
    names={"prefect.server.api.server": ("create_app",)},
    fields={"prefect.server.api.server:create_app": ("PREFECT__SERVER_EPHEMERAL", "PREFECT__SERVER_FINAL")},
)

T = TypeVar("T", bound="Task[..., Any]")
Folder = TypeVar("Folder", bound="type[WritableFileSystem]")


@cache
def require_tested_prefect() -> None:
    """Refuses a Prefect that was not tested.

    Raises: InstallationError for another version, or when it lacks something that flows and tasks use.
    """
    RUNS.require()


def keep_results_in(task: T, folder: WritableFileSystem) -> T:
    """`task`, whose results are kept in `folder`: Prefect's decorator takes only what a server has stored."""
    require_tested_prefect()
    task.result_storage = folder
    return task


def host_independent(folder: Folder) -> Folder:
    """Makes Prefect name the records in such a folder by their keys alone, which are equal on every host.

    Prefect's own folders put absolute paths into their records.
    """
    require_tested_prefect()

    def resolve(_folder: WritableFileSystem, _key: str) -> None:
        return None

    cast("Any", folder)._resolve_path = resolve
    return folder


def serializer_of(record: bytes) -> str:
    """The type of the serializer that a stored record names."""
    return str(json.loads(record)["metadata"]["serializer"]["type"])


def submitting_to(runner: TaskRunner[Any]) -> AbstractContextManager[object]:
    """While open, the running flow submits its tasks to `runner`, which Prefect fixes in its decorator."""
    require_tested_prefect()
    from prefect.context import FlowRunContext

    context = cast("FlowRunContext", FlowRunContext.get())
    return context.model_copy(update={"task_runner": runner})


def server_app() -> Callable[[], FastAPI]:
    """The function that makes the application of Prefect's server.

    Raises: InstallationError for another Prefect, or when it lacks what the temporary server uses.
    """
    SERVER.require()
    from prefect.server.api.server import create_app

    return create_app
