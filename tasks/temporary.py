"""Temporary folders that bear their process's number, so that what a `kill -9` leaves behind is found."""

from __future__ import annotations

import multiprocessing.process
import multiprocessing.util
import os
import re
import shutil
import tempfile
from pathlib import Path

import psutil

OWNED = re.compile(r"paddle-int8-(\d+)-")


def prefix() -> str:
    """What the names of this process's temporary folders begin with."""
    return f"paddle-int8-{os.getpid()}-"


def name_multiprocessing_folder() -> None:
    """Has multiprocessing, whose own name would tell nothing, keep its sockets in a folder of this name."""
    config = multiprocessing.process.current_process()._config  # type: ignore[attr-defined]
    if config.get("tempdir") is None:
        config["tempdir"] = folder = tempfile.mkdtemp(prefix=prefix())
        multiprocessing.util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-100)


def sweep() -> None:
    """Removes the temporary folders of processes that are dead."""
    for folder in Path(tempfile.gettempdir()).iterdir():
        owner = OWNED.match(folder.name)
        if owner and not psutil.pid_exists(int(owner[1])):
            shutil.rmtree(folder, ignore_errors=True)
