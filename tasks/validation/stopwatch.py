"""Times calls without the time in which the process was ready to run and had no CPU.

On a host that others use too, the kernel takes the CPU away in the middle of calls, for milliseconds each.
Long calls are hit more often than short ones. So on a half busy CPU, the median of FP32 may hold such a pause
and that of INT8 none, and their ratio would be twice the ratio of a quiet host. The kernel counts this
waiting for each thread in nanoseconds, and a quota of a cgroup makes a thread wait in the same way.

What remains in the timings is what a neighbour does to the caches, to the memory and to the other half of a
core, and what a hypervisor takes: see `tasks/validation/speed.py`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Run = Callable[[], object]
TASKS = Path("/proc/self/task")
WAITED = 1
"""Position of the time that a thread was ready and waited for a CPU, in nanoseconds, in its `schedstat`.
Source: Documentation/scheduler/sched-stats.rst of Linux."""


class Stopwatch:
    """Times calls that run on `threads` threads. The calling thread must be one of them.

    Make it after the first calls, during which engines start their threads.
    seconds: how long all calls took together. waited_s: how much of it their threads waited for a CPU; 0
    where the kernel does not count it.
    """

    def __init__(self, threads: int, tasks: Path = TASKS) -> None:
        self.seconds = self.waited_s = 0.0
        self._counters: list[int] = []
        names = [str(threading.get_native_id())]
        if threads > 1:
            with suppress(OSError):
                names = [path.name for path in tasks.iterdir()]
        for name in names:
            with suppress(OSError):
                self._counters.append(os.open(tasks / name / "schedstat", os.O_RDONLY))

    def __enter__(self) -> Stopwatch:
        return self

    def __exit__(self, *_: object) -> None:
        for counter in self._counters:
            os.close(counter)

    def time_ms(self, run: Run) -> float:
        """The milliseconds that a call takes, without the longest wait of any of its threads."""
        before = self._waits_ns()
        started = time.perf_counter_ns()
        run()
        elapsed_ns = time.perf_counter_ns() - started
        waited_ns = max([0, *(now - then for then, now in zip(before, self._waits_ns(), strict=True))])
        self.seconds += elapsed_ns / 1e9
        if waited_ns >= elapsed_ns:  # it waited just before or after the call
            return elapsed_ns / 1e6
        self.waited_s += waited_ns / 1e9
        return (elapsed_ns - waited_ns) / 1e6

    def _waits_ns(self) -> list[int]:
        """How long each thread has waited so far; 0 for one that has ended."""
        waits = []
        for counter in self._counters:
            fields: list[bytes] = []
            with suppress(ProcessLookupError):
                fields = os.pread(counter, 128, 0).split()
            waits.append(int(fields[WAITED]) if len(fields) > WAITED else 0)
        return waits
