"""The artifact store: whole or absent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.errors import StorageError
from tasks.store import commit, folder_digest, scratch, sweep


def test_scratch_left_by_an_error_is_removed(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with scratch(tmp_path, "step") as folder:
            (folder / "half").write_text("written")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert not list(tmp_path.rglob("half"))


def test_commit_equal_content_is_stored_once(tmp_path: Path) -> None:
    targets = set()
    for _ in range(2):
        with scratch(tmp_path, "step") as folder:
            (folder / "file").write_text("same")
            targets.add(commit(folder, tmp_path, "models", folder_digest(folder)))
    assert len(targets) == 1
    assert (targets.pop() / "file").read_text() == "same"


def test_folder_digest_changes_with_content_and_with_name(tmp_path: Path) -> None:
    digests = set()
    for name, text in (("a", "1"), ("a", "2"), ("b", "1")):
        folder = tmp_path / f"{name}{text}"
        folder.mkdir()
        (folder / name).write_text(text)
        digests.add(folder_digest(folder))
    assert len(digests) == 3


def test_sweep_removes_what_dead_processes_left_and_keeps_the_living(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid in (ended.pid, os.getppid()):
        (tmp_path / "scratch" / str(pid)).mkdir(parents=True)
    sweep(tmp_path)
    assert [folder.name for folder in (tmp_path / "scratch").iterdir()] == [str(os.getppid())]


def test_scratch_in_a_file_is_a_storage_error_naming_the_setting(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(StorageError, match="PADDLE_INT8_HOME"), scratch(tmp_path / "home", "step"):
        pass
