"""Checks quickly whether MLflow answers. MLflow's own client would retry a dead server for minutes.

A server is asked with MLflow's own HTTP function, so that MLflow's environment variables for certificates,
tokens, passwords and proxies count.
"""

from __future__ import annotations

import socket
import sqlite3
import ssl
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from paddle_int8.tasks.process.pace import slowness
from paddle_int8.tasks.tracking.mlflow_private import ask

PROBE_TIMEOUT_S = 5
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
SQLITE = "sqlite:"
NOT_LET_IN = (401, 403, 407)


def probe(uri: str) -> None:
    """Checks that MLflow answers at `uri`.

    Raises: OSError, ValueError, sqlite3.Error or MlflowException when nobody answers, or when the answer is
    not MLflow's, for example that of a proxy that refuses.
    """
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if (database := sqlite_path(uri)) is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(database, timeout=PROBE_TIMEOUT_S)) as opened:
            opened.execute("PRAGMA schema_version")
    elif scheme in DATABASE_PORTS:
        parts = urlsplit(uri)
        address = (parts.hostname or "localhost", parts.port or DATABASE_PORTS[scheme])
        socket.create_connection(address, PROBE_TIMEOUT_S).close()
    elif scheme in ("http", "https"):
        _ask_patiently(uri)


def sqlite_path(uri: str) -> Path | None:
    """The file of an embedded SQLite database; None for any other `uri`.

    The path ends only at a `?`, as SQLAlchemy reads it.
    """
    if not uri.startswith(SQLITE):
        return None
    return Path(uri.partition("://")[2].partition("?")[0].removeprefix("/")).absolute()


def root_cause(error: BaseException) -> BaseException:
    """The innermost of the errors that MLflow's client, requests and urllib3 wrapped around each other."""
    while (inner := _wrapped(error)) is not None:
        error = inner
    return error


def remedy(error: BaseException) -> str:
    """The part of a remedy that says what to do when MLflow does not answer."""
    if isinstance(root_cause(error), ssl.SSLError):
        return (
            "set MLFLOW_TRACKING_SERVER_CERT_PATH to the certificate of its authority, and "
            "MLFLOW_TRACKING_CLIENT_CERT_PATH where it asks for one of yours"
        )
    if _status(error) in NOT_LET_IN:
        return (
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN; add its "
            "host to NO_PROXY when a proxy answered in its place"
        )
    return "start it"


def may_come_back(error: BaseException) -> bool:
    """Whether MLflow may answer later without anybody's help, as a server that is started again does."""
    refused = isinstance(root_cause(error), ssl.SSLError) or _status(error) in NOT_LET_IN
    return not refused and not isinstance(error, ValueError | sqlite3.Error)


def _status(error: BaseException) -> int:
    """The status of an answer of HTTP; 0 without one."""
    return int(getattr(error, "get_http_status_code", int)())


def _wrapped(error: BaseException) -> BaseException | None:
    from requests import RequestException

    for inner in (getattr(error, "reason", None), *error.args[:1]):
        if isinstance(inner, BaseException):
            return inner
    return error.__context__ if isinstance(error.__context__, RequestException) else None


def _ask_patiently(uri: str) -> None:
    """Asks again with a longer time limit after a time-out, since this host itself may be slow."""
    from mlflow.exceptions import MlflowException

    try:
        ask(uri, PROBE_TIMEOUT_S)
    except MlflowException as error:
        if "timed out" not in str(root_cause(error)):
            raise
        ask(uri, PROBE_TIMEOUT_S * slowness())
