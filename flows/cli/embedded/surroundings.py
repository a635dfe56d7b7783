"""Runs flows on a host without servers: on Prefect's temporary server, with MLflow in a local SQLite file.

`prepare` must run before Prefect is imported, because Prefect reads its settings once. Settings of the user
win: with `PREFECT_API_URL` and `MLFLOW_TRACKING_URI`, the same program uses servers.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from paddle_int8.flows.cli.embedded import tables, temporary_server
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.process import garbage, progress
from paddle_int8.tasks.process import isolated as process
from paddle_int8.tasks.store.room import require_room
from paddle_int8.tasks.tracking import connection

P = TypeVar("P")
R = TypeVar("R")

QUIET = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # keeps Prefect's log off the terminal
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # it would start eight processes for nothing
    "GIT_PYTHON_REFRESH": "quiet",
}
LOADING = "importing Prefect and MLflow, and opening MLflow's database"
PREFECT_DATABASE = {"PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL"}
"""With one of these, the temporary server has a database that the user has chosen."""


def prepare(settings: Settings) -> None:
    """Sets the environment variables that Prefect and MLflow read at import, unless the user has set them.

    Raises: ConfigError when the home folder cannot hold a database; StorageError when it cannot be written
    or its disk is full. Prefect's server would otherwise restart there without end.
    """
    if not (settings.prefect_api_url and settings.mlflow_tracking_uri):
        settings.require_home_for_databases()
    require_room(settings.root)
    local = {
        **QUIET,
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(settings.store / "results"),
    }
    if settings.prefect_api_url is None:
        local["PREFECT_HOME"] = str(settings.prefect_home)
        settings.prefect_home.mkdir(parents=True, exist_ok=True)
    for name, value in local.items():
        os.environ.setdefault(name, value)
    if settings.prefect_api_url is None and not PREFECT_DATABASE & os.environ.keys():
        tables.lay("prefect", Path(os.environ["PREFECT_HOME"]) / "prefect.db")
    if settings.mlflow_tracking_uri is None:
        tables.lay("mlflow", settings.root / "mlflow.db")


def start_prefect(settings: Settings) -> Callable[[], None]:
    """Starts Prefect's temporary server unless the user has set one. Call the result to wait for the server.

    The start takes seconds, in which the program can import what it needs. The server ends with the program,
    after Prefect has sent it the last logs and states.
    Raises: IsolatedProcessError, from the returned function, when the server does not start.
    """
    if settings.prefect_api_url is not None:
        return lambda: None
    server = temporary_server.start(settings.root / "logs" / "prefect-server.log")
    atexit.register(server.stop)  # handlers run in reverse order: Prefect's, registered later, run first
    os.environ["PREFECT_API_URL"] = f"{server.address}/api"

    def wait() -> None:
        with progress.waiting("start Prefect", "waiting for Prefect's temporary server", server.patience):
            server.wait_until_ready()

    return wait


def run_flow(settings: Settings, load: Callable[[], Callable[[P], R]], parameter: P) -> R:
    """Runs the flow that `load` imports and returns. Prefect must not be imported before `load` is called.

    Raises: what the flow raises; IsolatedProcessError when Prefect's temporary server does not start.
    """
    wait_for_prefect = start_prefect(settings)
    process.warm_up()
    with progress.waiting("load", LOADING), garbage.left_alone():
        flow = load()
        connection.prepare(settings.tracking_uri)
    wait_for_prefect()
    return flow(parameter)
