"""The flow `release` for a worker whose host fails when the step STRUCK_AT begins."""

from __future__ import annotations

import os

import psutil

from paddle_int8.flows.release import release
from paddle_int8.tasks.process import progress
from tests.e2e.servers import kill_all_of

__all__ = ["release"]


def _strike(event: progress.Progress) -> None:
    if event.step == os.environ.get("STRUCK_AT"):
        (worker,) = (each for each in psutil.Process().parents() if "worker" in each.cmdline())
        kill_all_of(worker)


LISTENING = progress.listen(_strike)
"""Kept, for a context that is forgotten ends."""
LISTENING.__enter__()
