"""Pauses Python's garbage collector while a program imports its modules."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_alone() -> Iterator[None]:
    """Switches the collector off in the context, and then exempts all objects made so far (`gc.freeze`).

    Modules stay anyway, so searching them is wasted: it takes a seventh of the time that importing Prefect,
    MLflow and Paddle takes (`python -m benchmarks.release` shows the sum). And a forked process that
    collects does not copy the memory of frozen objects.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
