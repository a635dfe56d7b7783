"""Measures how slow this host is at the moment, and stretches limits on waiting accordingly.

A limit that is right on an idle host would stop a healthy start on a host that is ten times slower or busy
with other work. So limits are written for the reference host, and multiplied by a measured slowness.
"""

from __future__ import annotations

import time
from collections.abc import Callable

REFERENCE_S = 0.07
"""Seconds that `_known_work` takes on the reference host: an idle core of an AMD EPYC Zen 5, Python 3.11."""
ROUNDS = 2_000_000
MOST = 30.0
"""No limit is stretched by more than this, so that a hang is still noticed."""


def slowness(clock: Callable[[], float] = time.monotonic) -> float:
    """How many times longer work takes here and now than on the reference host: 1 to `MOST`.

    Wall-clock time is measured, so a CPU quota, other programs and a slow CPU all count. Linux grants a quota
    anew every 100 ms; the work takes longer than the share of a quota below half a CPU, which is therefore
    noticed.
    """
    started = clock()
    _known_work()
    return min(MOST, max(1.0, (clock() - started) / REFERENCE_S))


class Patience:
    """A limit on waiting that starts now. `limit_s` is the limit on this host, in seconds."""

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
        """Whether the limit has passed. If so, the slowness is measured again, and may extend the limit."""
        if self.waited_s <= self.limit_s:
            return False
        self.limit_s = max(self.limit_s, self._reference_s * self._measure())
        return self.waited_s > self.limit_s


def _known_work() -> int:
    total = 0
    for number in range(ROUNDS):
        total += number & 7
    return total
