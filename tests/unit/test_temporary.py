"""Temporary folders of ended processes are removed; those of running ones are not."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.errors import StorageError
from paddle_int8.tasks.process import temporary

MAKE = """
import tempfile
from paddle_int8.tasks.process import temporary
print(tempfile.mkdtemp(prefix=temporary.prefix()), flush=True)
input()
"""


def test_sweep_removes_the_folders_of_killed_processes_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notes, lock = tmp_path / "paddle-int8-notes", tmp_path / "paddle-int8.lock"
    notes.mkdir()
    lock.touch()
    own = Path(tempfile.mkdtemp(prefix=temporary.prefix()))
    with subprocess.Popen(
        [sys.executable, "-c", MAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().decode().strip())
        temporary.sweep()
        assert theirs.is_dir()
        other.kill()
    temporary.sweep()
    assert {path for path in tmp_path.iterdir() if path.suffix != ".owner"} == {own, notes, lock}
    assert len(list(tmp_path.glob("*.owner"))) == 1


def test_sweep_removes_what_a_killed_worker_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(temporary.of_user()))
    with subprocess.Popen(
        [sys.executable, "-c", MAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        theirs = Path(worker.stdout.readline().decode().strip())
        temporary.sweep()
        assert theirs.parent == temporary.of_user()
        assert theirs.is_dir()
        worker.kill()
    temporary.sweep()
    assert not list(temporary.of_user().iterdir())


def test_users_own_folder_is_closed_to_others_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = temporary.of_user()
    assert (folder.parent, folder.stat().st_mode & 0o777) == (tmp_path, 0o700)
    assert temporary.of_user() == folder


@pytest.mark.parametrize("foreign", ["file", "link"])
def test_users_own_folder_that_somebody_else_put_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = temporary.of_user()
    folder.rmdir()
    folder.touch() if foreign == "file" else folder.symlink_to(tmp_path)
    with pytest.raises(StorageError, match="TMPDIR"):
        temporary.of_user()
