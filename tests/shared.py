"""Folders that all processes of one run of pytest share: the one that needs a folder first makes it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

_place: Path | None = None


def share_below(factory: pytest.TempPathFactory) -> None:
    """Puts them beside this process's temporary folders, where all workers of pytest-xdist have theirs."""
    global _place
    own = factory.getbasetemp()
    _place = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name`, which `make` has filled in this process or in another."""
    assert _place is not None, "no test is running"
    folder, done = _place / name, _place / f"{name}.done"
    with (_place / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what failed in another process
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
