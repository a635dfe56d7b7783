"""The way to MLflow: a client that answers or fails soon, and its errors in the project's words.

MLflow is imported here and only on use: it takes a second, and its telemetry must be off before.
Everything works on explicit run ids, so several threads may log at once.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import sqlite3
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.errors import RegistryError, StorageError
from tasks.store import storage_error

if TYPE_CHECKING:
    from mlflow import MlflowClient

PROBE_TIMEOUT_S = 5
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
QUIET_AND_BOUNDED = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""MLflow's own switches. Its defaults retry for minutes and write to the user's terminal."""

_CREDENTIALS = re.compile(r"(?<=://)[^\s/]*@")
_SECRET = re.compile(r"(?i)((?:password|passwd|secret|token|api_?key)[\"']?\s*[=:]\s*[\"']?)[^\s&\"',]+")


def prepare(tracking_uri: str) -> None:
    """Imports MLflow and makes a new database's tables: seconds, for a program that waits for something else.

    What goes wrong is left to the first use, which says it better.
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
    """A client of the server or database at `tracking_uri`.

    Raises: RegistryError when MLflow cannot be reached or refuses, StorageError when the disk is full.
    """
    _probe(tracking_uri)
    _preload()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _alone_at_first(tracking_uri):
            client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
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


@contextmanager
def _alone_at_first(tracking_uri: str) -> Iterator[None]:
    """Two programs that open a new SQLite database at once would both make its tables, and break them."""
    folder = database_folder(tracking_uri)
    if folder is None:
        yield
        return
    with (folder / "mlflow.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def database_folder(tracking_uri: str) -> Path | None:
    """The folder of an embedded SQLite database, or None for a server."""
    if not tracking_uri.startswith("sqlite:"):
        return None
    return _sqlite_path(tracking_uri).parent


def redact(text: str) -> str:
    """`text` without the credentials in its URIs and without the values of its secrets."""
    return _SECRET.sub(r"\1***", _CREDENTIALS.sub("***@", text))


def _probe(tracking_uri: str) -> None:
    """Asks once, since MLflow itself asks a dead database fifteen times, ever more slowly.

    Of a server any answer will do, a refusal too: only silence is an error.
    """
    scheme = urlsplit(tracking_uri).scheme.partition("+")[0]
    folder = database_folder(tracking_uri)
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            _probe_sqlite(tracking_uri)
        elif scheme in DATABASE_PORTS:
            parts = urlsplit(tracking_uri)
            address = (parts.hostname or "localhost", parts.port or DATABASE_PORTS[scheme])
            socket.create_connection(address, PROBE_TIMEOUT_S).close()
        elif scheme in ("http", "https"):
            parts = urlsplit(tracking_uri)
            plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            urllib.request.urlopen(plain, timeout=PROBE_TIMEOUT_S).close()
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError, HTTPException, sqlite3.Error) as error:
        raise _unreachable(tracking_uri, error) from error


def _probe_sqlite(tracking_uri: str) -> None:
    with closing(sqlite3.connect(_sqlite_path(tracking_uri), timeout=PROBE_TIMEOUT_S)) as database:
        database.execute("PRAGMA schema_version")


def _sqlite_path(tracking_uri: str) -> Path:
    return Path(urlsplit(tracking_uri.replace("sqlite:///", "sqlite://localhost/", 1)).path[1:]).absolute()


def _unreachable(tracking_uri: str, error: Exception) -> RegistryError:
    return RegistryError(
        found=_detail(tracking_uri, error),
        required="an MLflow tracking server or database that answers",
        remedy="start it or correct MLFLOW_TRACKING_URI; without that variable a local SQLite file is used",
    )


def _refused(tracking_uri: str, error: Exception) -> RegistryError:
    return RegistryError(
        found=_detail(tracking_uri, error),
        required="an MLflow that takes what the release logs",
        remedy="check that it still runs and that you may write to it, then run the release again: "
        "finished steps are cached",
    )


def _detail(tracking_uri: str, error: Exception) -> str:
    lines = str(getattr(error, "reason", None) or error).strip().splitlines() or [type(error).__name__]
    return redact(f"{tracking_uri}: {lines[0]:.300}")
