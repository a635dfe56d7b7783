"""Records oneDNN's verbose lines inside the running process, so that one predictor is audited and then timed.

This module runs in the isolated process only.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache

from paddle_int8.tasks.engines.paddle.audit.kernels import MARK
from paddle_int8.tasks.hardware import onednn

STDOUT = 1


class VerboseRecorder:
    """Records verbose lines. oneDNN prints its header once per process, so the recorder keeps the header."""

    def __init__(self) -> None:
        self._header: list[str] = []

    def record(self, run: Callable[[], object], *, inferences: int) -> list[str]:
        """The header and the verbose lines of `inferences` calls of `run`. oneDNN is silent before and after.

        Run the predictor once before: its first run reorders the weights, which later runs do not.
        """
        lines = _stdout_of(lambda: _with_verbose(run, inferences))
        fresh = [line for line in lines if line.startswith(f"{MARK}info")]
        self._header = self._header or fresh
        return [*self._header, *(line for line in lines if line not in fresh)]


@cache
def _recorder() -> VerboseRecorder:
    return VerboseRecorder()


def recorded(run: Callable[[], object], *, inferences: int) -> list[str]:
    """The lines of `VerboseRecorder.record`, by the only recorder of this process."""
    return _recorder().record(run, inferences=inferences)


def _with_verbose(run: Callable[[], object], inferences: int) -> None:
    onednn.set_verbose(1)
    try:
        for _ in range(inferences):
            run()
    finally:
        onednn.set_verbose(0)


def _stdout_of(action: Callable[[], None]) -> list[str]:
    """The lines that native code prints to descriptor 1 during `action`. `sys.stdout` does not see them."""
    libc = ctypes.CDLL(None)
    sys.stdout.flush()
    libc.fflush(None)
    saved = os.dup(STDOUT)
    with tempfile.TemporaryFile() as capture:
        os.dup2(capture.fileno(), STDOUT)
        try:
            action()
        finally:
            libc.fflush(None)
            os.dup2(saved, STDOUT)
            os.close(saved)
        capture.seek(0)
        return capture.read().decode(errors="replace").splitlines()
