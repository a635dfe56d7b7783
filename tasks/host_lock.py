"""One benchmark at a time on a host, whoever started it.

Steps that compute hold the lock shared, steps that measure hold it alone; the operating system frees
it when a process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks import progress

WAIT = "wait"
"""What the progress reports of a step are called that waits for the lock."""


@contextmanager
def computing() -> Iterator[None]:
    """Held by work that would disturb a measurement; many may hold it together."""
    with _locked(fcntl.LOCK_SH, "waiting for a measurement on this host to end"):
        yield


@contextmanager
def measuring() -> Iterator[None]:
    """Held by work whose result is a time; nobody else computes or measures meanwhile."""
    with _locked(fcntl.LOCK_EX, "waiting for other work on this host to end"):
        yield


@contextmanager
def _locked(mode: int, reason: str) -> Iterator[None]:
    path = Path(tempfile.gettempdir()) / f"paddle-int8-{os.getuid()}.lock"
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.report(WAIT, 0, 0, reason)
            fcntl.flock(stream, mode)
            progress.end(WAIT)
        yield
