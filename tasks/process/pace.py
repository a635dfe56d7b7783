"""How slow this host is at this moment, so that limits on waiting fit it.

A limit that is right on a free host ends a healthy start on one that is ten times slower, or of which others
take a half. So limits are given for the reference host, and stretched by a speed that is measured first.
"""

from __future__ import annotations

import time
from collections.abc import Callable

REFERENCE_S = 0.07
"""What `_known_work` takes on the reference host: a free core of an AMD EPYC of Zen 5, Python 3.11."""
ROUNDS = 2_000_000
MOST = 30.0
"""No limit is stretched further: a hang is still to be noticed."""


def slowness(clock: Callable[[], float] = time.monotonic) -> float:
    """How many times longer work takes here and now than on the reference host: 1 to `MOST`.

    By the wall: a quota, other programs and a slow CPU all count. The work is longer than what a quota of
    less than half a CPU gives in one of the 100 ms in which Linux counts it.
    """
    started = clock()
    _known_work()
    return min(MOST, max(1.0, (clock() - started) / REFERENCE_S))


class Patience:
    """A limit on waiting that begins now. `limit_s` is what it has come to on this host."""

    def __init__(
        self,
        reference_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        measure: Callable[[], float] = slowness,
    ) -> None:
        """reference_s: the limit on the reference host."""
        self._reference_s, self._clock, self._measure = reference_s, clock, measure
        self._started = clock()
        self.limit_s = reference_s * measure()

    @property
    def waited_s(self) -> float:
        return self._clock() - self._started

    def is_over(self) -> bool:
        """Whether the limit has passed, also by the speed that the host has now."""
        if self.waited_s <= self.limit_s:
            return False
        self.limit_s = max(self.limit_s, self._reference_s * self._measure())
        return self.waited_s > self.limit_s


def _known_work() -> int:
    total = 0
    for number in range(ROUNDS):
        total += number & 7
    return total
