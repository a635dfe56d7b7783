"""Measures the latencies of consecutive calls, for example of a bundle's predictor."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from paddle_int8.tasks.contracts.arrays import Array, Feed

WARMUP = 20


def own_latencies(bundle: Path, feed: Feed, repeats: int) -> tuple[list[Array], list[float]]:
    """The predictor's answer and its latencies in milliseconds. Call this in an isolated process only."""
    from paddle_int8.tasks.engines.paddle.serving import load_bundle
    from paddle_int8.tasks.validation.latency import pin

    pin(1)
    predictor = load_bundle(bundle)
    return predictor.run(feed), timed(lambda: predictor.run(feed), repeats)


def timed(call: Callable[[], object], repeats: int) -> list[float]:
    """The milliseconds that each call takes after the warm-up."""
    latencies = []
    for _ in range(WARMUP + repeats):
        started = time.perf_counter()
        call()
        latencies.append(1e3 * (time.perf_counter() - started))
    return latencies[WARMUP:]
