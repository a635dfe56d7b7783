"""Temporary folders of the dead are removed, those of the living are not."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tasks import temporary


def test_sweep_removes_the_folders_of_dead_processes_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    own = Path(tempfile.mkdtemp(prefix=temporary.prefix()))
    others = tmp_path / f"paddle-int8-{os.getuid()}.lock", tmp_path / "paddle-int8-notes"
    for path in (tmp_path / f"paddle-int8-{dead.pid}-abc", others[1]):
        path.mkdir()
    others[0].touch()
    temporary.sweep()
    assert set(tmp_path.iterdir()) == {own, *others}
