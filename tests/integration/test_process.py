"""Isolated processes: real processes, which are really killed."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from paddle_int8.tasks.contracts.errors import DataError, IsolatedProcessError
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.process.isolated import STEPS, record_usage, run_isolated
from tests.patience import allowed, comes_true


def _environment(name: str) -> str | None:
    return os.environ.get(name)


def _refuse() -> None:
    raise DataError(found="a", required="b", remedy="c")


def _report() -> str:
    progress.report("work", 1, 2, "half")
    return "done"


def _say_and_fail() -> None:
    os.write(1, b"the last words of the engine\n")
    raise ValueError("boom")


def _segfault() -> None:
    ctypes.string_at(0)


def _kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _exhaust_memory() -> int:
    limit = 2 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return len(bytearray(8 << 30))


def _leave_grandchild(path: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(path).write_text(str(child.pid))
    time.sleep(60)


def test_run_isolated_function_returns_result_of_another_process(tmp_path: Path) -> None:
    assert run_isolated(os.getpid, step="pid", log=tmp_path / "log", timeout_s=120) != os.getpid()


def test_run_isolated_environment_reaches_only_the_child(tmp_path: Path) -> None:
    answer = run_isolated(
        _environment, "PROBE", step="env", log=tmp_path / "log", timeout_s=120, environment={"PROBE": "x"}
    )
    assert answer == "x"
    assert "PROBE" not in os.environ


def test_run_isolated_pipeline_error_crosses_with_its_parts(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        run_isolated(_refuse, step="refuse", log=tmp_path / "log", timeout_s=120)
    assert (caught.value.found, caught.value.required, caught.value.remedy) == ("a", "b", "c")


def test_run_isolated_progress_is_heard_by_the_parent(tmp_path: Path) -> None:
    heard: list[progress.Progress] = []
    with progress.listen(heard.append):
        run_isolated(_report, step="report", log=tmp_path / "log", timeout_s=120)
    assert heard == [
        progress.Progress(step="report", done=0, total=0, limit_s=120),
        progress.Progress(step="work", done=1, total=2, note="half", limit_s=120),
        progress.Progress(step="report", done=1, total=1, ended=True),
    ]


def test_run_isolated_other_exception_shows_last_lines_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(IsolatedProcessError, match="boom") as caught:
        run_isolated(_say_and_fail, step="fail", log=tmp_path / "log", timeout_s=120)
    assert "the last words of the engine" in caught.value.found


@pytest.mark.parametrize(
    ("function", "said"),
    [
        pytest.param(_segfault, "SIGSEGV", id="segmentation fault"),
        pytest.param(os.abort, "SIGABRT", id="abort"),
        pytest.param(_kill_self, "SIGKILL", id="killed as for memory"),
        pytest.param(_exhaust_memory, "MemoryError", id="out of memory"),
    ],
)
def test_run_isolated_process_that_dies_says_how(tmp_path: Path, function: object, said: str) -> None:
    with pytest.raises(IsolatedProcessError, match=said):
        run_isolated(function, step="die", log=tmp_path / "log", timeout_s=120)  # type: ignore[arg-type]


def test_run_isolated_process_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    run_isolated(os.getpid, step="warm up", log=tmp_path / "log", timeout_s=120)
    limit_s, started = allowed(20), time.monotonic()
    with pytest.raises(IsolatedProcessError, match="still running after 3 s"):
        run_isolated(_leave_grandchild, str(pid_file), step="hang", log=tmp_path / "log", timeout_s=3)
    assert time.monotonic() - started < limit_s
    grandchild = int(pid_file.read_text())
    assert comes_true(lambda: not _alive(grandchild), seconds=10)


def test_isolated_process_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = textwrap.dedent(f"""
        from pathlib import Path
        from tests.integration.test_process import _write_pid_and_sleep
        from paddle_int8.tasks.process.isolated import run_isolated
        log = Path({str(tmp_path / "log")!r})
        run_isolated(_write_pid_and_sleep, {str(pid_file)!r}, step="s", log=log, timeout_s=300)
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    assert comes_true(lambda: pid_file.exists() and pid_file.read_text(), seconds=120)
    child = int(pid_file.read_text())
    assert _alive(child)
    parent.kill()
    parent.wait()
    assert comes_true(lambda: not _alive(child), seconds=20)


def _write_pid_and_sleep(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(300)


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_step_lasts_as_long_as_it_did_when_the_hosts_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, now = time.monotonic(), time.time()
    monkeypatch.setattr("paddle_int8.tasks.process.isolated.time.time", lambda: now - 3600)
    record_usage("step", tmp_path, began)
    usage = json.loads((tmp_path / STEPS).read_text())
    assert 0 <= usage["ended"] - usage["started"] < allowed(60)
