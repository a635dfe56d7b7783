"""Python's garbage collector while a program imports."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_alone() -> Iterator[None]:
    """Collects nothing inside, and looks no more at what was made there: modules stay.

    Searching what Prefect, MLflow and Paddle make on import costs a seventh of the import
    (`python -m benchmarks.release` shows the sum). Frozen objects are also not copied by forks that collect.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
