"""A parent that is killed while it starts processes leaves none behind, even if they hang in native code."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests.e2e.servers import wait_until

ROOT = Path(__file__).parents[2]
MARK = "PADDLE_INT8_TEST_MARK"
MOMENTS_S = tuple(place / 20 for place in range(20))
"""After the start of the fork server, when its parent is killed: before and in the preload."""
HANG = "import ctypes; ctypes.PyDLL(None).pause()  # with Python's lock held, as a futex in a native import\n"
SERVER = """
from paddle_int8.tasks.process import isolated as process
print("starting", flush=True)
process.warm_up()
import time; time.sleep(300)
"""
STEP = """
import os
from pathlib import Path
os.environ["FIRST"] = str(os.getpid())
import hanging
from paddle_int8.tasks.process.isolated import run_isolated
print("starting", flush=True)
run_isolated(hanging.function, step="s", log=Path(os.environ["LOG"]), timeout_s=300)
"""


@contextmanager
def parent(program: str, modules: Path, mark: str) -> Iterator[subprocess.Popen[str]]:
    """The program, about to start its processes; whatever is left of it is ended with the context."""
    environment = os.environ | {MARK: mark, "LOG": str(modules / "log"), "PYTHONPATH": f"{modules}:{ROOT}"}
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True, cwd=modules
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "starting"
        yield process
    finally:
        process.kill()
        for each in marked(mark):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.communicate()


def marked(mark: str) -> list[psutil.Process]:
    """Every living process whose environment has the mark."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if each.environ().get(MARK) == mark and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


def require_nothing_left(mark: str) -> None:
    wait_until(lambda: marked(mark), lambda found: not found, seconds=20, what="the end of every process")


def test_fork_server_that_hangs_in_its_preload_dies_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "paddle.py").write_text(f"open({str(tmp_path / 'reached')!r}, 'w').close()\n{HANG}")
    mark = uuid4().hex
    with parent(SERVER, tmp_path, mark) as process:
        wait_until((tmp_path / "reached").exists, bool, seconds=60, what="the preload")
        assert len(marked(mark)) > 1, "no fork server"
        process.kill()
        require_nothing_left(mark)


def test_fork_server_of_a_parent_that_is_killed_at_any_moment_of_its_start_is_gone(tmp_path: Path) -> None:
    (tmp_path / "paddle.py").write_text(HANG)
    seen = 0
    for moment in MOMENTS_S:
        mark = uuid4().hex
        with parent(SERVER, tmp_path, mark) as process:
            time.sleep(moment)
            seen += len(marked(mark)) > 1
            process.kill()
            require_nothing_left(mark)
    assert seen, "every parent was killed before it had started anything"


@pytest.mark.parametrize("moment", [None, 0.0, 0.1, 0.2, 0.3, 0.5], ids=lambda moment: f"after {moment}")
def test_step_that_hangs_before_its_function_runs_dies_with_its_parent(
    tmp_path: Path, moment: float | None
) -> None:
    (tmp_path / "paddle.py").write_text("raise ImportError('not needed here')\n")
    (tmp_path / "hanging.py").write_text(
        textwrap.dedent(f"""
        import os
        def function(): pass
        if os.getpid() != int(os.environ["FIRST"]):
            open({str(tmp_path / "reached")!r}, "w").close()
            {HANG}""")
    )
    mark = uuid4().hex
    with parent(STEP, tmp_path, mark) as process:
        if moment is None:
            wait_until((tmp_path / "reached").exists, bool, seconds=60, what="the step's process")
        else:
            time.sleep(moment)
        process.kill()
        require_nothing_left(mark)
