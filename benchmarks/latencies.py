"""Measures latencies in an isolated process: of a bundle's predictor, or as a release does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.validation.request import MeasureRequest
from paddle_int8.tasks.validation.timing import ProcessTiming, time_process

WARMUP = 20


def own_latencies(bundle: Path, feed: Feed, repeats: int) -> tuple[list[Array], list[float]]:
    """The predictor's answer and its latencies in milliseconds. Call this in an isolated process only."""
    from paddle_int8.tasks.engines.paddle.serving import load_bundle
    from paddle_int8.tasks.validation.latency import pin

    pin(1)
    predictor = load_bundle(bundle)
    return predictor.run(feed), timed(lambda: predictor.run(feed), repeats)


def timed_as_asked(request: MeasureRequest, place: int, real_time: bool) -> ProcessTiming:
    """What a release times in one process. real_time: whether nothing else may run on its CPU meanwhile."""
    if real_time:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    return time_process(request, place)


def timed(call: Callable[[], object], repeats: int) -> list[float]:
    """The milliseconds that each call takes after the warm-up."""
    latencies = []
    for _ in range(WARMUP + repeats):
        started = time.perf_counter()
        call()
        latencies.append(1e3 * (time.perf_counter() - started))
    return latencies[WARMUP:]
