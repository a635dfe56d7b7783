"""Folders that several processes share: the one that needs a folder first makes it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

_run: Path | None = None
_kept: Path | None = None


def share_below(factory: pytest.TempPathFactory, config: pytest.Config) -> None:
    """Says where they lie: beside this process's temporary folders, where all workers of pytest-xdist have
    theirs; and those that later runs use too, in pytest's cache."""
    global _run, _kept
    own = factory.getbasetemp()
    _run = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    _kept = config.cache.mkdir("shared") if config.cache else _run


def made_once(name: str, make: Callable[[Path], object], *, kept: bool = False) -> Path:
    """The folder `name`, which `make` has filled in this process or in another.

    kept: later runs of pytest use it too, so that `name` must say all that decides what is in it.
    """
    place = _kept if kept else _run
    assert place is not None, "no test is running"
    folder, done = place / name, place / f"{name}.done"
    with (place / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what failed in another process
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
