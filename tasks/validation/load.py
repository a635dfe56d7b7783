"""Load time and peak memory of one predictor, the first thing in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.contracts.evidence import JudgedOutput, NativeComparison
from paddle_int8.tasks.contracts.sequences import LENGTHS
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines.engine import Predictor

SEQUENCE_BATCHES = 20
STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadEvidence:
    """`load_ms` runs from opening the files to the first output, as oneDNN builds its kernels in the
    first run; importing Paddle is not in it. `peak_memory_bytes` is of the process, Paddle included.
    `outputs` says of each of the FP32 model's how it will be compared (`tasks.validation.fitness`); `native`
    holds a baseline to Paddle's own kernels."""

    load_ms: float
    peak_memory_bytes: int
    outputs: tuple[JudgedOutput, ...] = ()
    native: NativeComparison | None = None


def load_and_run(open_model: Callable[[], Predictor], feed: Feed) -> tuple[Predictor, LoadEvidence]:
    """The opened predictor, and what opening it and its first run cost.

    The engine is loaded before: its import time is not the model's.
    """
    started = time.perf_counter()
    predictor = open_model()
    predictor.run(feed)
    load_ms = (time.perf_counter() - started) * 1e3
    return predictor, LoadEvidence(load_ms=load_ms, peak_memory_bytes=peak_memory_bytes())


def first_batch(reader: BatchReader, batch_size: int) -> Feed:
    """The first `batch_size` samples, repeated when there are fewer."""
    feed = next(iter(reader.batches(batch_size, limit=batch_size)), None)
    if feed is None:
        raise MeasurementError(
            found="no validation samples", required="at least one", remedy="correct `data.validation`"
        )
    return {name: np.resize(values, (batch_size, *values.shape[1:])) for name, values in feed.items()}


def lengths_of(feed: Feed) -> Array | None:
    """[N], of the samples of the first input that is a sequence; None where none is."""
    return next((values for name, values in feed.items() if name.endswith(LENGTHS)), None)


def latency_batches(reader: BatchReader, batch_size: int) -> list[Feed]:
    """What latency is measured on: one batch of fixed shape, or several of sequences, which differ."""
    if not reader.sequences:
        return [first_batch(reader, batch_size)]
    batches = list(reader.batches(batch_size, limit=batch_size * SEQUENCE_BATCHES))
    whole = [feed for feed in batches if len(next(iter(feed.values()))) == batch_size]
    return whole or [first_batch(reader, batch_size)]


def peak_memory_bytes() -> int:
    """Most resident memory this process ever had, what it inherited when it was forked included.

    Source: VmHWM of proc(5); unlike `ru_maxrss` it does not remember the parent's own peak.
    """
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise MeasurementError(found=f"no VmHWM in {STATUS}", required="Linux", remedy="run on Linux")
