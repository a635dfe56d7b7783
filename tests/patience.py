"""Limits on wall-clock time, which hold on the reference host and stretch with the slowness measured now."""

from __future__ import annotations

import time
from collections.abc import Callable

from paddle_int8.tasks.process.pace import Patience, slowness


def allowed(seconds: float) -> float:
    """What `seconds` on the reference host of `tasks/process/pace.py` may take here and now."""
    return seconds * slowness()


def comes_true(condition: Callable[[], object], *, seconds: float, pause: float = 0.02) -> bool:
    """Whether `condition` holds before its `seconds` on the reference host are over."""
    patience = Patience(seconds)
    while not (found := condition()) and not patience.is_over():
        time.sleep(pause)
    return bool(found or condition())
