"""Objects in reference cycles in a worker are freed without Python's own collector."""

from __future__ import annotations

import gc
import weakref

from paddle_int8.flows.server.worker.process import collect_regularly
from tests.patience import comes_true


class Held:
    """In a cycle with itself."""

    def __init__(self) -> None:
        self.itself = self


def test_garbage_is_collected_regularly_until_told_enough() -> None:
    gc.disable()
    try:
        held = weakref.ref(Held())
        assert held() is not None
        enough = collect_regularly(every_s=0.01)
        assert comes_true(lambda: held() is None, seconds=10)
        enough.set()
    finally:
        gc.enable()
