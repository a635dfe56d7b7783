"""Which process a folder belongs to: a locked file beside it; the kernel frees the lock when that ends.

A process's number would not tell: containers that share a volume count their processes each for itself.
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
"""Of the marks, which may lie among other programs' files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A file of a process, locked for as long as `stream` is open."""

    path: Path
    stream: FileIO


_marks: dict[tuple[int, Path], Mark] = {}
_marking = threading.Lock()


def owner(place: Path) -> str:
    """The name of this process in the folder `place`, for what it makes there and nobody else may remove.

    Raises: OSError when `place` cannot be written.
    """
    key = os.getpid(), place
    with _marking:
        if key not in _marks:
            _marks[key] = _mark(place)
            at_exit(forget, priority=-200)
        return _marks[key].path.stem.removeprefix(PREFIX)


def lives(place: Path, name: str) -> bool:
    """Whether the process of that name in `place` has not ended."""
    try:
        with (place / f"{PREFIX}{name}{SUFFIX}").open("rb") as mark:
            fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def forget_the_dead(place: Path) -> None:
    """Removes the marks of processes that have ended, once what they left behind is removed."""
    for path in place.glob(f"{PREFIX}*{SUFFIX}"):
        if not lives(place, path.stem.removeprefix(PREFIX)):
            path.unlink(missing_ok=True)


def forget() -> None:
    """Removes this process's marks, at its end."""
    for process, place in tuple(_marks):
        if process == os.getpid():
            _marks.pop((process, place)).path.unlink(missing_ok=True)


def _mark(place: Path) -> Mark:
    """Locked before it has its name, so that nobody ever sees it free."""
    path = place / f"{PREFIX}{uuid4().hex[:8]}{SUFFIX}"
    part = path.with_suffix(".part")
    stream = FileIO(part, "w")
    fcntl.flock(stream, fcntl.LOCK_EX)
    part.rename(path)
    return Mark(path=path, stream=stream)
