"""Prefect's temporary server: real processes, two at once, on databases that do not exist yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

from paddle_int8.flows.cli.embedded import surroundings, temporary_server
from paddle_int8.flows.cli.embedded.temporary_server import TemporaryServer
from paddle_int8.tasks.contracts.errors import IsolatedProcessError
from paddle_int8.tasks.steps.prefect_private import submitting_to
from tests.patience import allowed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As `surroundings.prepare` leaves it to the servers of a program."""
    for name, value in (*surroundings.QUIET.items(), ("PREFECT_HOME", str(tmp_path / "prefect"))):
        monkeypatch.setenv(name, value)
    (tmp_path / "prefect").mkdir()
    return tmp_path


def test_two_servers_started_at_once_in_a_new_home_both_answer(home: Path) -> None:
    servers = [temporary_server.start(home / f"{name}.log") for name in ("one", "other")]
    try:
        for server in servers:
            server.wait_until_ready()
    finally:
        for server in servers:
            server.stop()


def test_server_that_cannot_open_its_database_says_why(home: Path) -> None:
    (home / "prefect" / "prefect.db").write_bytes(b"this is no database" * 100)
    server: TemporaryServer = temporary_server.start(home / "server.log")
    with pytest.raises(IsolatedProcessError, match="file is not a database"):
        server.wait_until_ready()
    assert server.process.wait(allowed(20)) == temporary_server.STARTUP_FAILURE


@task
def _double(number: int) -> int:
    return 2 * number


class _Counting(ThreadPoolTaskRunner[int]):
    submitted = 0

    def submit(self, *arguments: Any, **options: Any) -> Any:
        _Counting.submitted += 1
        return super().submit(*arguments, **options)


@flow
def _doubles() -> list[int]:
    before = _double.submit(1)
    with _Counting(max_workers=1) as runner, submitting_to(runner):
        inside = _double.submit(2)
        inside.wait()
    return [each.result() for each in (before, inside, _double.submit(3))]


def test_flow_submits_its_tasks_to_the_runner_that_it_asks_for_inside(prefect_server: str) -> None:
    """On the server that stays: Prefect sends all events of a process to the server of its first flow."""
    assert _doubles() == [2, 4, 6]
    assert _Counting.submitted == 1
