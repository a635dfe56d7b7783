"""Marks which process a folder belongs to, so that folders of ended processes can be found and removed.

The mark is a locked file beside the folder; the kernel frees the lock when the process ends. The number of
the process would not do: containers that share a volume each number their processes from 1.
"""

from __future__ import annotations

import fcntl
import os
import threading
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from uuid import uuid4

from paddle_int8.tasks.process.cpython import at_exit

PREFIX, SUFFIX = "paddle-int8-", ".owner"
"""The beginning and end of a mark's file name, by which it is told from other programs' files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The mark of a process: a file that is locked for as long as `stream` is open."""

    path: Path
    stream: FileIO


_marks: dict[tuple[int, Path], Mark] = {}
_marking = threading.Lock()


def owner(place: Path) -> str:
    """The name of this process in the folder `place`. It names the files that only this process may remove.

    Raises: OSError when `place` cannot be written to.
    """
    key = os.getpid(), place
    with _marking:
        if key not in _marks:
            _marks[key] = _mark(place)
            at_exit(forget, priority=-200)
        return _marks[key].path.stem.removeprefix(PREFIX)


def lives(place: Path, name: str) -> bool:
    """Whether the process that has this name in `place` is still running."""
    try:
        with (place / f"{PREFIX}{name}{SUFFIX}").open("rb") as mark:
            fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def forget_the_dead(place: Path) -> None:
    """Removes the marks of processes that have ended. What they left behind must be removed before."""
    for path in place.glob(f"{PREFIX}*{SUFFIX}"):
        if not lives(place, path.stem.removeprefix(PREFIX)):
            path.unlink(missing_ok=True)


def forget() -> None:
    """Removes the marks of this process, when it ends."""
    for process, place in tuple(_marks):
        if process == os.getpid():
            _marks.pop((process, place)).path.unlink(missing_ok=True)


def _mark(place: Path) -> Mark:
    """Makes a mark. It is locked before it gets its final name, so that nobody ever finds it unlocked."""
    path = place / f"{PREFIX}{uuid4().hex[:8]}{SUFFIX}"
    part = path.with_suffix(".part")
    stream = FileIO(part, "w")
    fcntl.flock(stream, fcntl.LOCK_EX)
    part.rename(path)
    return Mark(path=path, stream=stream)
