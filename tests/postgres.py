"""A real PostgreSQL server on loopback, for one test."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.servers import free_port
from tests.patience import allowed

USER = "postgres"
"""PostgreSQL refuses to run as root."""


@contextmanager
def postgres(database: str) -> Iterator[str]:
    """`127.0.0.1:<port>/<database>`, user `postgres`, no password. Skips where it is not installed."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="paddle-int8-postgres-", dir="/tmp"))
    as_user: list[str] = []
    if os.getuid() == 0:
        shutil.chown(folder, USER, USER)
        as_user = ["runuser", "-u", USER, "--"]
    data, port = folder / "data", free_port()
    control = [*as_user, str(binaries / "pg_ctl"), "--pgdata", str(data), "--wait", "--silent"]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    try:
        initialise = [str(binaries / "initdb"), "--pgdata", str(data), "--username", USER, "--auth", "trust"]
        _run([*as_user, *initialise, "--no-sync"])
        _run([*control, "--log", str(folder / "log"), "--options", options, "start"])
        try:
            address = ["--host", "127.0.0.1", "--port", str(port), "--username", USER]
            _run([*as_user, str(binaries / "createdb"), *address, database])
            yield f"127.0.0.1:{port}/{database}"
        finally:
            _run([*control, "--mode", "immediate", "stop"])
    finally:
        shutil.rmtree(folder)


def _binaries() -> Path:
    if shutil.which("pg_config") is None:
        pytest.skip("pg_config is missing: install postgresql and libpq-dev")
    found = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True)
    folder = Path(found.stdout.strip())
    if not (folder / "initdb").exists():
        pytest.skip(f"{folder / 'initdb'} is missing: install postgresql")
    if os.getuid() == 0 and (
        USER not in {user.pw_name for user in pwd.getpwall()} or not shutil.which("runuser")
    ):
        pytest.skip(f"user {USER} or runuser is missing: PostgreSQL refuses to run as root")
    return folder


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=allowed(120))
