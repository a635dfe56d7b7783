"""Opens MLflow clients that answer or fail soon, and turns MLflow's errors into this project's errors.

MLflow is imported only when it is used, because the import takes a second and its telemetry must be switched
off first. All functions take explicit run ids, so several threads may log at once.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import RegistryError, StorageError, storage_error
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.process.pace import Patience
from paddle_int8.tasks.tracking.mlflow_private import open_registry
from paddle_int8.tasks.tracking.probe import may_come_back, probe, remedy, root_cause, sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient

QUIET_AND_BOUNDED = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Environment variables of MLflow. With its defaults it retries for minutes and writes to the terminal."""

AWAY_S = 120
"""How long an MLflow that has answered before may be away, such as a server that is started again; on the
reference host of `tasks/process/pace.py`."""
AGAIN_S = 1.0
_reached: set[str] = set()

_CREDENTIALS = re.compile(r"(?<=://)[^\s/]*@")
_SECRET = re.compile(r"(?i)((?:password|passwd|secret|token|api_?key)[\"']?\s*[=:]\s*[\"']?)[^\s&\"',]+")


def prepare(tracking_uri: str) -> None:
    """Imports MLflow and creates the tables of a new database.

    This takes seconds; call it while the program waits for something else. Errors are ignored here, because
    the first real use reports them better.
    """
    with suppress(RegistryError, StorageError), connection(tracking_uri):
        pass


def _preload() -> None:
    for name, value in QUIET_AND_BOUNDED.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own modules warn about each other's type hints
        import mlflow.pyfunc  # noqa: F401 - so that no later import warns


@contextmanager
def connection(tracking_uri: str) -> Iterator[MlflowClient]:
    """Opens a client of the server or database at `tracking_uri`, and of the registry that belongs to it.

    Raises: RegistryError when MLflow cannot be reached or refuses, StorageError when the disk is full.
    """
    _preload()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    registry = registry_uri(tracking_uri)
    for uri in dict.fromkeys((tracking_uri, registry)):
        _require_answer(uri)
    try:
        with _alone_at_first(tracking_uri, registry):
            client = MlflowClient(tracking_uri=tracking_uri, registry_uri=registry)
            open_registry(client)
    except (MlflowException, SQLAlchemyError, ImportError) as error:
        raise _unreachable(tracking_uri, error) from error
    try:
        yield client
    except (MlflowException, SQLAlchemyError) as error:
        raise _refused(tracking_uri, error) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise storage_error(error, Path(error.filename or Path.cwd())) from error
        raise _refused(tracking_uri, error) from error


def registry_uri(tracking_uri: str) -> str:
    """The address of the model registry: MLFLOW_REGISTRY_URI or, when it is not set, `tracking_uri`."""
    return Settings().mlflow_registry_uri or tracking_uri


@contextmanager
def _alone_at_first(*uris: str) -> Iterator[None]:
    """Holds a lock while SQLite databases are opened.

    Two programs that open a new database at once would both create its tables, and break it.
    """
    folders = {folder for uri in uris if (folder := database_folder(uri)) is not None}
    with ExitStack() as held:
        for folder in sorted(folders):
            fcntl.flock(held.enter_context((folder / "mlflow.lock").open("a")), fcntl.LOCK_EX)
        yield


def database_folder(tracking_uri: str) -> Path | None:
    """The folder of an embedded SQLite database, or None for a server."""
    path = sqlite_path(tracking_uri)
    return path.parent if path else None


def redact(text: str) -> str:
    """`text` without the credentials in its URIs and without the values of its secrets."""
    return _SECRET.sub(r"\1***", _CREDENTIALS.sub("***@", text))


def _require_answer(uri: str) -> None:
    """An MLflow that this process has reached before may be starting again, and is waited for."""
    try:
        probe(uri)
    except (OSError, ValueError, sqlite3.Error, _mlflow_error()) as error:
        if uri not in _reached or not may_come_back(error):
            raise _unreachable(uri, error) from error
        _wait_for(uri)
    _reached.add(uri)


def _wait_for(uri: str) -> None:
    patience = Patience(AWAY_S)
    with progress.waiting("wait for MLflow", "MLflow does not answer; waiting for it", patience):
        while True:
            time.sleep(AGAIN_S)
            try:
                return probe(uri)
            except (OSError, ValueError, _mlflow_error()) as error:
                if patience.is_over() or not may_come_back(error):
                    raise _unreachable(uri, error) from error


def _mlflow_error() -> type[Exception]:
    from mlflow.exceptions import MlflowException

    return MlflowException


def _unreachable(tracking_uri: str, error: Exception) -> RegistryError:
    return RegistryError(
        found=_detail(tracking_uri, error),
        required="an MLflow tracking server or database that answers",
        remedy=f"{remedy(error)}, or correct {_variable(tracking_uri)}; without that variable "
        "a local SQLite file is used",
    )


def _variable(uri: str) -> str:
    return "MLFLOW_REGISTRY_URI" if uri == Settings().mlflow_registry_uri else "MLFLOW_TRACKING_URI"


def _refused(tracking_uri: str, error: Exception) -> RegistryError:
    return RegistryError(
        found=_detail(tracking_uri, error),
        required="an MLflow that takes what the release logs",
        remedy="check that it still runs and that you may write to it, then run the release again: "
        "finished steps are cached",
    )


def _detail(tracking_uri: str, error: Exception) -> str:
    cause = root_cause(error)
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return redact(f"{tracking_uri}: {lines[0]:.300}")
