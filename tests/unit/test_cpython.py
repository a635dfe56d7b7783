"""The private parts of CPython that are used exist, and their absence raises an error."""

from __future__ import annotations

import multiprocessing.process
import multiprocessing.util
import subprocess
import sys
from pathlib import Path

import pytest

from paddle_int8.tasks.process import cpython

SOCKETS = """
import sys, tempfile
from multiprocessing import util
from paddle_int8.tasks.process import cpython
cpython.keep_sockets_in(lambda: tempfile.mkdtemp(prefix="ours-", dir=sys.argv[1]))
print(util.get_temp_dir())
"""


def test_sockets_are_kept_in_the_folder_that_was_made_until_the_process_ends(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SOCKETS, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert Path(ended.stdout.strip()).parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_sockets_another_python_without_the_configuration_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing.process, "current_process", object)
    with pytest.raises(RuntimeError, match=r"no `_config`.*\nrequired.*\nremedy: see docs/upgrading.md"):
        cpython.keep_sockets_in(lambda: "")


def test_fork_server_pipe_outside_of_a_fork_server_is_none() -> None:
    assert cpython.fork_server_pipe() is None


def test_fork_server_pipe_that_is_not_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", "from multiprocessing.forkserver import main"])
    with pytest.raises(RuntimeError, match="no local variable alive_r"):
        cpython.fork_server_pipe()


def test_end_of_process_without_its_function_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(multiprocessing.util, "_exit_function")
    with pytest.raises(RuntimeError, match="_exit_function"):
        cpython.end_of_process()
