"""Measures what many releases cost Prefect's server and its PostgreSQL; the releases compute nothing.

    python -m benchmarks.fleet --database postgres@127.0.0.1:5432/prefect --releases 2000

One stand-in release runs through Prefect's engine. It has as many task runs, states, log lines and stored
results as a real release of six candidates, but no computation. What it sent to the server is recorded, and
sent again for every further release with new ids and times, so that the server is measured and not the hosts
that would send it.

After each tenth of the releases, a line of a Markdown table says what a release costs, how long the pages of
the run list and of one run take, how many task runs and events the server has yet to record, its memory, and
the rows and bytes of the database.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID, uuid4, uuid5

import httpx
import psutil
import psycopg2

from paddle_int8.flows.cli.embedded.temporary_server import _free_port

CANDIDATES = 6
TASK_RUNS = 11 + 5 * CANDIDATES
EVENTS = 3 * TASK_RUNS + 3
TABLES = ("flow_run", "flow_run_state", "task_run", "task_run_state", "log", "events")
STARTUP_S, DRAIN_S = 180, 1800
READS = 20
PAGE = {"sort": "START_TIME_DESC", "limit": 20}
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    address: str
    process: psutil.Process

    def memory_mib(self) -> float:
        below = self.process.children(recursive=True)
        return sum(each.memory_info().rss for each in (self.process, *below)) / 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What one release sent to the server: the events of its task runs and its log lines, as JSON text."""

    flow_id: str
    flow_run_id: str
    events: str
    logs: str
    began: datetime

    def again(self, flow_run_id: str) -> tuple[Any, Any]:
        """The same events and log lines for another flow run, at the present time."""
        later = datetime.now(UTC) - self.began
        kept = {self.flow_id: self.flow_id, self.flow_run_id: flow_run_id}

        def other(match: re.Match[str]) -> str:
            return kept.get(match[0]) or str(uuid5(UUID(flow_run_id), match[0]))

        def moved(match: re.Match[str]) -> str:
            return (datetime.fromisoformat(match[0]) + later).isoformat()

        def changed(text: str) -> Any:
            return json.loads(_TIME.sub(moved, _ID.sub(other, text)))

        return changed(self.events), changed(self.logs)


@contextmanager
def server(database: str, folder: Path, batch: int | None) -> Iterator[Server]:
    """Prefect's server on a PostgreSQL database.

    database: `user@host:port/name`.
    batch: how many events the server records in one transaction.
    """
    port = _free_port()
    os.environ |= {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{database}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PADDLE_INT8_HOME": str(folder / "home"),
    }
    if batch is not None:
        for service in ("TASK_RUN_RECORDER", "EVENT_PERSISTER"):
            setting = f"PREFECT_SERVER_SERVICES_{service}"
            os.environ |= {f"{setting}_BATCH_SIZE": str(batch), f"{setting}_READ_BATCH_SIZE": str(batch)}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        _wait(f"http://127.0.0.1:{port}/api/health")
        yield Server(address=f"http://127.0.0.1:{port}/api/", process=psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


def _wait(address: str) -> None:
    deadline = time.monotonic() + STARTUP_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(address, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise SystemExit(f"found: no answer from {address}; required: one within {STARTUP_S} s")


def run_release() -> None:
    """Runs one stand-in release in this process, by Prefect's own engine."""
    from prefect import flow, get_run_logger, task

    @task(
        persist_result=True,
        result_serializer="json",
        cache_key_fn=lambda _context, _parameters: os.urandom(8).hex(),
    )
    def step(text: str) -> str:
        get_run_logger().info("%s", text)
        return text * 40

    @flow(name="stand-in", persist_result=False)
    def release() -> None:
        for shared in ("open", "hardware", "model", "calibration", "validation", "check", "baselines"):
            step.with_options(name=shared)(shared)
        for candidate in range(CANDIDATES):
            for each in ("quantize", "convert", "validate", "gate", "log"):
                step.with_options(name=each)(f"{each} {candidate}")
        for last in ("bundle", "register", "report", "close"):
            step.with_options(name=last)(last)

    release()


def record(client: httpx.Client) -> Recording:
    """Waits until everything that the only release so far has sent is on the server, and returns it."""
    began = datetime.now(UTC)
    run_release()
    (run,) = client.post("flow_runs/filter", json=PAGE).raise_for_status().json()
    _until(lambda: len(_events(client)) >= 3 * TASK_RUNS, "the events of the first release")
    wanted = {"logs": {"flow_run_id": {"any_": [run["id"]]}}, "limit": 200}
    logs = client.post("logs/filter", json=wanted).raise_for_status().json()
    sent = ("name", "level", "message", "timestamp", "flow_run_id", "task_run_id")
    return Recording(
        flow_id=run["flow_id"],
        flow_run_id=run["id"],
        events=json.dumps([{k: v for k, v in each.items() if k != "received"} for each in _events(client)]),
        logs=json.dumps([{key: log[key] for key in sent} for log in logs]),
        began=began,
    )


def _events(client: httpx.Client) -> list[dict[str, Any]]:
    """The events of task runs, the oldest first."""
    body = {"filter": {"event": {"prefix": ["prefect.task-run."]}, "order": "ASC"}, "limit": 50}
    page = client.post("events/filter", json=body).raise_for_status().json()
    found = list(page["events"])
    while following := page.get("next_page"):
        page = client.get(following).raise_for_status().json()
        found += page["events"]
    return found


def replay(client: httpx.Client, recording: Recording) -> None:
    """Sends the recording as one more release, which the server cannot tell from a real one."""
    body = {"flow_id": recording.flow_id, "name": f"stand-in-{uuid4().hex[:8]}", "state": {"type": "PENDING"}}
    run = client.post("flow_runs/", json=body).raise_for_status().json()["id"]
    events, logs = recording.again(run)
    for state in ("RUNNING", "COMPLETED"):
        client.post(f"flow_runs/{run}/set_state", json={"state": {"type": state}}).raise_for_status()
        if state == "RUNNING":
            client.post("events", json=events).raise_for_status()
            client.post("logs/", json=logs).raise_for_status()


def latency_ms(client: httpx.Client, path: str, body: dict[str, object]) -> float:
    """The median latency of `READS` requests."""
    times = []
    for _ in range(READS):
        started = time.perf_counter()
        client.post(path, json=body).raise_for_status()
        times.append(1e3 * (time.perf_counter() - started))
    return median(times)


def rows_and_bytes(database: str) -> tuple[dict[str, int], int]:
    with psycopg2.connect(f"postgresql://{database}") as connection, connection.cursor() as cursor:
        rows = {}
        for table in TABLES:
            cursor.execute(f"select count(*) from {table}")
            rows[table] = cursor.fetchone()[0]
        cursor.execute("select pg_database_size(current_database())")
        return rows, cursor.fetchone()[0]


def _kept_events(database: str) -> int:
    """Waits until the number of events no longer grows, and returns it.

    The server writes some at least every five seconds.
    """
    before, now = -1, rows_and_bytes(database)[0]["events"]
    while now > before:
        time.sleep(15)
        before, now = now, rows_and_bytes(database)[0]["events"]
    return now


def _until(enough: Callable[[], bool], what: str) -> float:
    """Waits until `enough` is true, and returns the seconds that it took."""
    started = time.monotonic()
    while not enough():
        if time.monotonic() > started + DRAIN_S:
            raise SystemExit(f"found: not {what}; required: within {DRAIN_S} s")
        time.sleep(1)
    return time.monotonic() - started


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def measure(target: Server, client: httpx.Client, database: str, done: int, seconds: float) -> None:
    """Prints one line of the table."""
    listed = latency_ms(client, "flow_runs/filter", PAGE)
    (run, *_) = client.post("flow_runs/filter", json=PAGE).json()
    page = latency_ms(client, "task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}, "limit": 200})
    rows, size = rows_and_bytes(database)
    behind = f"{TASK_RUNS * done - rows['task_run']:,} | {EVENTS * done - rows['events']:,}"
    counts = " | ".join(f"{rows[table]:,}" for table in TABLES)
    _say(
        f"| {done:,} | {seconds:.2f} | {listed:.0f} | {page:.0f} | {behind} | {target.memory_mib():.0f} "
        f"| {counts} | {size / 2**20:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", required=True, help="an empty PostgreSQL database: user@host:port/name")
    parser.add_argument("--releases", type=int, default=2000)
    parser.add_argument("--at-a-time", type=int, default=4)
    parser.add_argument(
        "--batch",
        type=int,
        help="how many events the server records at once; Prefect's own values are 1 and 20",
    )
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        server(options.database, Path(folder), options.batch) as target,
        httpx.Client(base_url=target.address, timeout=120) as client,
        ThreadPoolExecutor(options.at_a_time) as senders,
    ):
        recording = record(client)
        behind = "task runs behind | events behind"
        _say(f"| releases | s each | list ms | run ms | {behind} | server MiB | {' | '.join(TABLES)} | MiB |")
        _say("|---" * (8 + len(TABLES)) + "|")
        done = 1
        for tenth in range(1, 11):
            part = options.releases * tenth // 10 - done
            started = time.monotonic()
            list(senders.map(lambda _: replay(client, recording), range(part)))
            done += part
            measure(target, client, options.database, done, (time.monotonic() - started) / max(1, part))
        wanted = TASK_RUNS * done
        seconds = _until(
            lambda: rows_and_bytes(options.database)[0]["task_run"] >= wanted, "every task run recorded"
        )
        _say(f"\nThe last task run was recorded {seconds:.0f} s after the last release.")
        lost = EVENTS * done - _kept_events(options.database)
        _say(f"Of {EVENTS * done:,} events {max(0, lost):,} were lost.")


if __name__ == "__main__":
    main()
