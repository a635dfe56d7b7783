"""What many releases cost Prefect's server and its PostgreSQL: stand-in steps, everything around them real.

    python -m benchmarks.fleet --database postgres@127.0.0.1:5432/prefect --releases 2000

A stand-in release has as many task runs, states, log lines and kept results as a real one of six candidates,
and computes nothing. Written as Markdown after each tenth: the time of a release, of the run list's first
page and of one run's page, and the rows and bytes of the database.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
import psycopg2

from flows.temporary_server import _free_port

CANDIDATES = 6
TABLES = ("flow_run", "flow_run_state", "task_run", "task_run_state", "log", "events")
STARTUP_S = 180
READS = 20


@contextmanager
def server(database: str, folder: Path) -> Iterator[str]:
    """Prefect's server on `database`, `user@host:port/name`; yields its API's address."""
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
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        _wait(f"http://127.0.0.1:{port}/api/health")
        yield f"http://127.0.0.1:{port}/api/"
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


def run_releases(count: int) -> None:
    """`count` stand-in releases, one after the other, in this process."""
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

    for _ in range(count):
        release()


def latency_ms(client: httpx.Client, path: str, body: dict[str, object]) -> float:
    """Median of `READS` requests."""
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


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", required=True, help="of PostgreSQL, empty: user@host:port/name")
    parser.add_argument("--releases", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(arguments.database, Path(folder)) as address:
        _say(f"| releases | s each | run list ms | run page ms | {' | '.join(TABLES)} | MiB |")
        _say("|---" * (5 + len(TABLES)) + "|")
        part = max(1, arguments.releases // 10)
        with httpx.Client(base_url=address, timeout=60) as client:
            for done in range(part, arguments.releases + 1, part):
                started = time.monotonic()
                run_releases(part)
                seconds = (time.monotonic() - started) / part
                newest = {"sort": "START_TIME_DESC", "limit": 20}
                listed = latency_ms(client, "flow_runs/filter", newest)
                (run, *_) = client.post("flow_runs/filter", json=newest).json()
                tasks = {"flow_runs": {"id": {"any_": [run["id"]]}}, "limit": 200}
                page = latency_ms(client, "task_runs/filter", tasks)
                rows, size = rows_and_bytes(arguments.database)
                counts = " | ".join(f"{rows[table]:,}" for table in TABLES)
                _say(
                    f"| {done} | {seconds:.2f} | {listed:.0f} | {page:.0f} | {counts} | {size / 2**20:.1f} |"
                )


if __name__ == "__main__":
    main()
