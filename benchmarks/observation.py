"""Observes what the services of a running stack hold: memory, files, processes, connections, folders."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2

from paddle_int8.tasks.process.ownership import PREFIX

SERVICES = {
    "Prefect server": ("prefect", "server", "start"),
    "MLflow": ("mlflow", "server"),
    "worker": ("paddle_int8.flows.server.worker.process", "worker", "start"),
    "webhook receiver": ("receive-webhooks",),
}
"""Words that the command line of each service's first process contains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one service holds, with the processes below it; for the worker only its own process counts."""

    memory_mib: float
    files: int
    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One observation of the whole stack.

    flow_processes: how many processes are below the worker.
    connections: how many connections each database has.
    temporary: how many files and folders are in the temporary folder and in the store's scratch folders.
    """

    at: float
    ended: int
    services: dict[str, Held]
    flow_processes: int
    connections: dict[str, int]
    temporary: int


def observe(ended: int, *, database: str, home: Path) -> Observation:
    """Observes the services that this process has started, after `ended` releases."""
    found = dict(_services())
    worker = found.get("worker")
    return Observation(
        at=time.time(),
        ended=ended,
        services={name: _held(process, alone=name == "worker") for name, process in found.items()},
        flow_processes=len(worker.children(recursive=True)) if worker else 0,
        connections=_connections(database),
        temporary=len(temporary_things(home)),
    )


def temporary_things(home: Path) -> list[Path]:
    """Everything in the temporary folder, and what running steps and open releases keep in `home`."""
    common = Path(tempfile.gettempdir())
    places = [common.glob("*"), common.glob(f"{PREFIX}{os.getuid()}/*"), home.glob("artifacts/scratch/*/*")]
    places.append(home.glob("open-releases/*"))
    return sorted(path for place in places for path in place)


def processes_of(home: Path) -> list[str]:
    """The command lines of all processes on this host whose environment contains `home`."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PADDLE_INT8_HOME") == str(home):
                found.append(" ".join(process.cmdline()))
    return found


def _services() -> Iterator[tuple[str, psutil.Process]]:
    for process in psutil.Process().children():
        command = " ".join(process.cmdline())
        for name, words in SERVICES.items():
            if all(word in command for word in words):
                yield name, process


def _held(process: psutil.Process, *, alone: bool) -> Held:
    memory, files, processes = 0, 0, 0
    for each in (process, *([] if alone else process.children(recursive=True))):
        with suppress(psutil.NoSuchProcess):
            memory += each.memory_info().rss
            files += each.num_fds()
            processes += 1
    return Held(memory_mib=memory / 2**20, files=files, processes=processes)


def _connections(database: str) -> dict[str, int]:
    """The number of connections to each database, without the one that asks."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select datname, count(*) from pg_stat_activity"
            " where datname is not null and pid <> pg_backend_pid() group by 1"
        )
        return {str(name): int(count) for name, count in cursor.fetchall()}
