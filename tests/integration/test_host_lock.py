"""The host lock: one measures alone, many compute together; each holder is a real process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from paddle_int8.tasks.contracts.errors import StorageError
from paddle_int8.tasks.process.host_lock import WAIT, measuring, not_excluded
from paddle_int8.tasks.process.progress import listen
from tests.e2e.servers import wait_until
from tests.patience import comes_true

ROOT = str(Path(__file__).parents[2])
HOLDER = """
import os, sys, time
from pathlib import Path
from paddle_int8.tasks.process import host_lock
if sys.argv[4:]:
    place, user = sys.argv[4:]
    host_lock.PLACES = (Path(place),)
    os.setuid(int(user))
with getattr(host_lock, sys.argv[1])():
    Path(sys.argv[2]).write_text("held")
    time.sleep(float(sys.argv[3]))
"""
OWN = os.getuid()
START_S = 30
WAITS_S = 3
"""How long a holder that has to wait is watched."""


def _hold(kind: str, flag: Path, seconds: float, lock_folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, kind, str(flag), str(seconds)],
        env={"PADDLE_INT8_LOCK_FOLDER": str(lock_folder), "PYTHONPATH": ROOT},
    )


def _hold_among_users(
    kind: str, flag: Path, seconds: float, place: Path, user: int
) -> subprocess.Popen[bytes]:
    """As another user with a TMPDIR of its own, on a host whose folder for everybody is `place`."""
    own = flag.with_suffix(".tmp")
    own.mkdir()
    own.chmod(0o777)
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, kind, str(flag), str(seconds), str(place), str(user)],
        env={"TMPDIR": str(own), "PYTHONPATH": ROOT},
    )


def _wait(flag: Path, seconds: float) -> bool:
    return comes_true(flag.exists, seconds=seconds)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder such as /tmp, into which everybody may write."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o1777)
        yield Path(folder)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(OWN, OWN, id="two TMPDIRs"),
        pytest.param(OWN, 12345, id="another user second"),
        pytest.param(12345, OWN, id="another user first"),
        pytest.param(12345, 12346, id="two other users"),
    ],
)
def test_measurements_of_two_users_with_two_tmpdirs_take_turns(place: Path, one: int, other: int) -> None:
    if os.getuid() != 0 and {one, other} != {OWN}:
        pytest.skip("to become another user needs root")
    first = _hold_among_users("measuring", place / "one", 300, place, one)
    second = None
    try:
        assert _wait(place / "one", START_S)
        second = _hold_among_users("computing", place / "other", 0, place, other)
        assert not _wait(place / "other", WAITS_S)
        first.kill()
        assert _wait(place / "other", START_S)
    finally:
        for holder in filter(None, (first, second)):
            holder.kill()
            holder.wait()


def test_lock_that_cannot_be_made_names_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PADDLE_INT8_LOCK_FOLDER", str(tmp_path / "absent"))
    with pytest.raises(StorageError, match="PADDLE_INT8_LOCK_FOLDER"), measuring():
        pass


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param({".dockerenv": ""}, True, id="docker"),
        pytest.param({"run/.containerenv": ""}, True, id="podman"),
        pytest.param(
            {"proc/self/mountinfo": "30 29 0:26 / / rw - overlay overlay rw,lowerdir=a"}, True, id="layers"
        ),
        pytest.param(
            {"proc/self/mountinfo": "30 29 8:1 / / rw - ext4 /dev/sda1 rw"}, False, id="no container"
        ),
    ],
)
def test_container_is_told_that_the_rest_of_the_host_does_not_wait(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], told: bool
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.delenv("PADDLE_INT8_LOCK_FOLDER", raising=False)
    monkeypatch.setattr("paddle_int8.tasks.process.host_lock.PLACES", (place,))
    found = not_excluded(tmp_path)
    assert ("outside of this container" in found if found else False) is told
    monkeypatch.setenv("PADDLE_INT8_LOCK_FOLDER", str(tmp_path))
    assert not_excluded(tmp_path) is None


def test_host_without_a_folder_for_everybody_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PADDLE_INT8_LOCK_FOLDER", raising=False)
    monkeypatch.setattr("paddle_int8.tasks.process.host_lock.PLACES", (tmp_path,))
    assert "another TMPDIR" in (not_excluded(tmp_path) or "")


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

    from paddle_int8.tasks.steps.step import step

    def measure() -> None:
        with measuring():
            pass

    measure.__module__ = "paddle_int8.tasks.validation.task"  # the only modules that may hold steps
    measured = step(name="measure", persist_result=False)(measure)

    @flow(name="waiting")
    def waiting() -> str:
        measured()
        return str(flow_run.id)

    monkeypatch.setenv("PADDLE_INT8_LOCK_FOLDER", str(tmp_path))
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
