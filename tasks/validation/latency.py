"""Measures the latency of several predictors in turns, on the same pinned CPUs.

This module runs in the isolated process only. The result that counts is the ratio of two latencies, so both
must be measured at the same clock frequency and beside the same other programs. All predictors therefore
share a process and one batch, and their order is shuffled in every round. Several processes do so one after
another, each on other CPUs and with another memory layout (`tasks/validation/timing.py`).

In its turn a predictor is called several times in a row, as a server that serves one model calls it.
Directly after another model, the caches and the branch predictor are filled for that other model. Timing
such calls would cost small INT8 models a third of their speed-up.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.hardware.topology import siblings
from paddle_int8.tasks.process.limits import own_threads
from paddle_int8.tasks.validation.stopwatch import Run, Stopwatch

WARM_UP_MS = 50.0
"""A turn's warm-up ends once its calls have taken this long together. MobileNets settle within 20 calls,
slower models within one or two."""
LONG_CALL_MS = 200.0
"""A predictor whose calls all take at least this long gets no warm-up: it fills the caches in a small part
of one call. Measured on VGG16, whose first call of a turn finds the caches filled by another model:

| latency of a call | first call is longer than the second by |
|---|---|
| 35 ms | 1 % |
| 140 ms and 850 ms | 0.1 to 0.2 % |
"""
LEAST_ROUNDS = 30
"""All processes of a measurement together have at least this many rounds, or one round per call when there
are fewer calls."""


def turns(repeats: int, processes: int) -> tuple[int, int]:
    """Splits `repeats` timed calls: (number of rounds in each process, timed calls in each turn).

    Example: 200 repeats in 5 processes give (6, 6), which is 180 timed calls.
    """
    each = max(1, repeats // processes)
    rounds = min(each, math.ceil(LEAST_ROUNDS / processes))
    return rounds, each // rounds


def interleave(
    runs: Mapping[str, Run],
    stopwatch: Stopwatch,
    *,
    warmup: int,
    rounds: int,
    calls: int,
    seed: int,
    after_round: Callable[[int], None] = lambda done: None,
) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of each timed call, [rounds * calls] by subject. Index i belongs to the same round in all.

    warmup: the most untimed calls at the start of each turn. The warm-up stops earlier after `WARM_UP_MS`,
    and a predictor whose calls so far took at least `LONG_CALL_MS` gets none.
    """
    order, shuffle = list(runs), random.Random(seed).shuffle
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for place in range(rounds):
        shuffle(order)
        for name in order:
            if not samples[name] or min(samples[name]) < LONG_CALL_MS:
                _warm_up(stopwatch, runs[name], warmup)
            samples[name] += [stopwatch.time_ms(runs[name]) for _ in range(calls)]
        after_round(place + 1)
    return {name: np.asarray(values) for name, values in samples.items()}


def pin(threads: int, place: int = 0) -> tuple[int, ...]:
    """Pins this process to `threads` CPUs, on distinct cores as long as there are enough cores.

    place: processes with other places are pinned to other CPUs, in turn.
    Call it before Paddle is imported, because OpenMP's threads inherit the CPU mask.
    Raises: MeasurementError when the CPU mask or a cgroup's quota allows fewer CPUs.
    """
    if threads > own_threads():
        raise _too_few(threads, own_threads())
    chosen = choose_cpus(threads, sorted(os.sched_getaffinity(0)), siblings, place)
    os.sched_setaffinity(0, chosen)
    return chosen


def choose_cpus(
    threads: int, allowed: Sequence[int], siblings: Callable[[int], frozenset[int]], place: int = 0
) -> tuple[int, ...]:
    """Chooses CPUs one per core first, and from the highest number down: CPU 0 serves most interrupts.

    place: how many times that many CPUs are passed over before; after the last CPU, the first one follows.
    Raises: MeasurementError when fewer than `threads` CPUs are allowed.
    """
    if threads > len(allowed):
        raise _too_few(threads, len(allowed))
    first_of_core: list[int] = []
    others: list[int] = []
    for cpu in reversed(allowed):
        (others if siblings(cpu) & set(first_of_core) else first_of_core).append(cpu)
    cpus = first_of_core + others
    return tuple(cpus[(place * threads + thread) % len(cpus)] for thread in range(threads))


def _too_few(threads: int, cpus: int) -> MeasurementError:
    return MeasurementError(
        found=f"{threads} threads to measure with, and {cpus} CPUs that may be used at once",
        required="a CPU for each thread",
        remedy=f"set `validation.threads` to {cpus} or less",
    )


def _warm_up(stopwatch: Stopwatch, run: Run, calls: int) -> None:
    elapsed_ms = 0.0
    while calls > 0 and elapsed_ms < WARM_UP_MS:
        elapsed_ms += stopwatch.time_ms(run)
        calls -= 1
