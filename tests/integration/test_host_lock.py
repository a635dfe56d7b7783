"""The host lock: measurements alone, computations together; each holder is a real process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest

from tasks.host_lock import WAIT, measuring
from tasks.progress import listen
from tests.e2e.servers import wait_until

HOLDER = """
import sys, time
from pathlib import Path
from tasks import host_lock
with getattr(host_lock, sys.argv[1])():
    Path(sys.argv[2]).write_text("held")
    time.sleep(float(sys.argv[3]))
"""


def _hold(kind: str, flag: Path, seconds: float, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, kind, str(flag), str(seconds)],
        env={"TMPDIR": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def _wait(flag: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not flag.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return flag.exists()


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        pytest.param("measuring", "measuring", False, id="two measurements wait"),
        pytest.param("computing", "measuring", False, id="measurement waits for computation"),
        pytest.param("measuring", "computing", False, id="computation waits for measurement"),
        pytest.param("computing", "computing", True, id="computations run together"),
    ],
)
def test_host_lock_pair_of_holders(tmp_path: Path, first: str, second: str, together: bool) -> None:
    one = _hold(first, tmp_path / "one", 60, tmp_path)
    assert _wait(tmp_path / "one", 30)
    two = _hold(second, tmp_path / "two", 0, tmp_path)
    try:
        assert _wait(tmp_path / "two", 30 if together else 3) is together
        one.kill()  # the operating system frees the lock of a process that is killed
        assert _wait(tmp_path / "two", 30)
    finally:
        one.kill()
        two.kill()
        one.wait()
        two.wait()


def test_step_that_waits_says_so_in_its_runs_log(
    prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import flow, get_client
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.runtime import flow_run

    from tasks.task import step

    def measure() -> None:
        with measuring():
            pass

    measure.__module__ = "tasks.validation.task"  # the only modules that may hold steps
    measured = step(name="measure", persist_result=False)(measure)

    @flow(name="waiting")
    def waiting() -> str:
        measured()
        return str(flow_run.id)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    holder = _hold("computing", tmp_path / "held", 120, tmp_path)
    try:
        assert _wait(tmp_path / "held", 30)
        with listen(lambda event: holder.kill() if event.step == WAIT else None):
            run_id = LogFilterFlowRunId(any_=[UUID(waiting())])
    finally:
        holder.kill()
        holder.wait()
    with get_client(sync_client=True) as client:
        wait_until(
            lambda: [log.message for log in client.read_logs(LogFilter(flow_run_id=run_id))],
            lambda found: any("other work on this host" in message for message in found),
            seconds=30,
            what="a word of the wait",
        )
