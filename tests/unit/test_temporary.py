"""Temporary folders of the dead are removed, those of the living are not."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tasks import temporary

MAKE = """
import tempfile
from tasks import temporary
print(tempfile.mkdtemp(prefix=temporary.prefix()), flush=True)
input()
"""


def test_sweep_removes_the_folders_of_killed_processes_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notes, lock = tmp_path / "paddle-int8-notes", tmp_path / "paddle-int8-0.lock"
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
