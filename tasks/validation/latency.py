"""Latency of several predictors, measured in turns on the same pinned CPUs.

Runs in the isolated process only. A latency alone means little: what counts is the ratio under the
same frequency and neighbours, hence one process, one batch, and a new order in every round. In its turn
a predictor is called again and again, as a server of one model calls it: right after another model it
finds the caches and the branch predictor filled for that one, which costs small INT8 models a third of
their speed-up.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.hardware.limits import own_threads

Run = Callable[[], object]
WARM_UP_MS = 50.0
"""Of a turn, at most: MobileNets settle within 20 calls, slower models in one or two."""
LONG_CALL_MS = 200.0
"""Of a call that starts warm enough: VGG16's first one in a turn, in the caches of another model, lasts
0.1 to 0.2 % longer than its second at 140 and at 850 ms, 1 % at 35 ms."""
LEAST_ROUNDS = 30
"""Of a measurement, as far as it has so many calls: the fewer rounds, the less is known of their spread."""
TOPOLOGY = Path("/sys/devices/system/cpu")


def turns(repeats: int) -> tuple[int, int]:
    """Rounds, and timed calls of one turn, of `repeats` timed calls at most."""
    calls = max(1, repeats // LEAST_ROUNDS)
    return repeats // calls, calls


def interleave(
    runs: Mapping[str, Run],
    *,
    warmup: int,
    rounds: int,
    calls: int,
    seed: int,
    after_round: Callable[[int], None] = lambda done: None,
) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of each call by subject: [rounds * calls]. Place i of each is of the same round.

    warmup: calls before the clock starts, in each turn; fewer when they take long, and none once every call
    has lasted so long that it fills the caches in a small part of its time.
    """
    order, shuffle = list(runs), random.Random(seed).shuffle
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for place in range(rounds):
        shuffle(order)
        for name in order:
            if not samples[name] or min(samples[name]) < LONG_CALL_MS:
                _warm_up(runs[name], warmup)
            samples[name] += [_time_ms(runs[name]) for _ in range(calls)]
        after_round(place + 1)
    return {name: np.asarray(values) for name, values in samples.items()}


def pin(threads: int) -> tuple[int, ...]:
    """Pins this process to `threads` CPUs, on distinct cores as far as there are any.

    To be called before Paddle is imported: OpenMP's threads inherit the mask.
    Raises: MeasurementError when fewer CPUs are allowed, by the mask or by a cgroup's quota.
    """
    if threads > own_threads():
        raise _too_few(threads, own_threads())
    chosen = choose_cpus(threads, sorted(os.sched_getaffinity(0)), _siblings)
    os.sched_setaffinity(0, chosen)
    return chosen


def choose_cpus(
    threads: int, allowed: Sequence[int], siblings: Callable[[int], frozenset[int]]
) -> tuple[int, ...]:
    """The highest-numbered CPUs, one per core first: CPU 0 serves most interrupts.

    Raises: MeasurementError when there are not enough.
    """
    if threads > len(allowed):
        raise _too_few(threads, len(allowed))
    first_of_core: list[int] = []
    others: list[int] = []
    for cpu in reversed(allowed):
        (others if siblings(cpu) & set(first_of_core) else first_of_core).append(cpu)
    return tuple((first_of_core + others)[:threads])


def _too_few(threads: int, cpus: int) -> MeasurementError:
    return MeasurementError(
        found=f"{threads} threads to measure with, and {cpus} CPUs that may be used at once",
        required="a CPU for each thread",
        remedy=f"set `validation.threads` to {cpus} or less",
    )


def _siblings(cpu: int) -> frozenset[int]:
    """The hyper-threads of the same core, `cpu` among them."""
    try:
        text = (TOPOLOGY / f"cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii")
    except OSError:
        return frozenset({cpu})
    ends = [part.split("-") for part in text.strip().split(",")]
    return frozenset(number for end in ends for number in range(int(end[0]), int(end[-1]) + 1))


def _warm_up(run: Run, calls: int) -> None:
    elapsed_ms = 0.0
    while calls > 0 and elapsed_ms < WARM_UP_MS:
        elapsed_ms += _time_ms(run)
        calls -= 1


def _time_ms(run: Run) -> float:
    started = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - started) / 1e6
