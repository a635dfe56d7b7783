"""The defaults of a host without servers: Prefect's temporary server, MLflow on a local SQLite file.

Must run before Prefect is imported, which reads its settings once. What the user has set wins, so
`PREFECT_API_URL` and `MLFLOW_TRACKING_URI` move both to servers with no other change.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

from tasks import progress
from tasks.errors import IsolatedProcessError, StorageError
from tasks.settings import Settings
from tasks.store import storage_error

MIN_FREE_BYTES = 64 << 20

QUIET = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the terminal belongs to the user
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes that nothing here needs
    "GIT_PYTHON_REFRESH": "quiet",
}


def prepare(settings: Settings) -> None:
    """Sets what Prefect and MLflow read at import, unless the user has set it.

    Raises: StorageError when the home folder cannot be written or its disk is full. Prefect's server
    would start again and again without end there.
    """
    _require_room(settings)
    local = {
        **QUIET,
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(settings.store / "results"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }
    if settings.prefect_api_url is None:
        local["PREFECT_HOME"] = str(settings.prefect_home)
        settings.prefect_home.mkdir(parents=True, exist_ok=True)
    for name, value in local.items():
        os.environ.setdefault(name, value)


def start_prefect(settings: Settings) -> None:
    """Starts Prefect's temporary server, where the user has set no server.

    A terminal sends Ctrl-C to every process of its group. The server must not hear it, since it has yet
    to record the cancellation; what is blocked in the thread that starts it is blocked in the server.
    Raises: IsolatedProcessError when it does not start.
    """
    if settings.prefect_api_url is not None:
        return
    progress.report("start Prefect", 0, 0)
    with ThreadPoolExecutor(max_workers=1) as threads:
        try:
            threads.submit(_start_server_without_interrupt).result()
        except RuntimeError as error:
            raise IsolatedProcessError(
                found=f"Prefect's temporary server did not start: {error}",
                required="a server that answers",
                remedy="set PREFECT_API_URL to one that runs; `prefect server start` shows why",
            ) from error
        finally:
            progress.end("start Prefect")


def _start_server_without_interrupt() -> None:
    from prefect.server.api.server import SubprocessASGIServer

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    SubprocessASGIServer().start()


def _require_room(settings: Settings) -> None:
    try:
        settings.root.mkdir(parents=True, exist_ok=True)
        if not os.access(settings.root, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(settings.root))
    except OSError as error:
        raise storage_error(error, settings.root) from error
    free = shutil.disk_usage(settings.root).free
    if free < MIN_FREE_BYTES:
        raise StorageError(
            found=f"{free >> 20} MiB free in {settings.root}",
            required=f"{MIN_FREE_BYTES >> 20} MiB, for the embedded databases alone",
            remedy="free space or set PADDLE_INT8_HOME to a larger disk",
        )
