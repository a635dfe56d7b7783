"""Measures load time and peak memory of one predictor, before its process does anything else."""

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
    """What loading one predictor costs; for a baseline also what is known about its outputs.

    `load_ms` runs from opening the files to the first output, because oneDNN builds its kernels in the first
    run. It excludes the import of Paddle. `peak_memory_bytes` is the whole process's, including Paddle.
    `outputs` says how each output of the FP32 model will be compared (`tasks.validation.fitness`). `native`
    is the comparison of the baseline with Paddle's own kernels. Candidates have neither.
    """

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
    """The length of each sample [N] in the first input that is a sequence; None when no input is one."""
    return next((values for name, values in feed.items() if name.endswith(LENGTHS)), None)


def latency_batches(reader: BatchReader, batch_size: int) -> list[Feed]:
    """The batches that latency is measured on: one for fixed shapes, several for sequences.

    Batches of sequences differ in length, so one would not be typical.
    """
    if not reader.sequences:
        return [first_batch(reader, batch_size)]
    batches = list(reader.batches(batch_size, limit=batch_size * SEQUENCE_BATCHES))
    whole = [feed for feed in batches if len(next(iter(feed.values()))) == batch_size]
    return whole or [first_batch(reader, batch_size)]


def peak_memory_bytes() -> int:
    """The highest resident memory of this process so far, including what it inherited at its fork.

    Source: VmHWM of proc(5). Unlike `ru_maxrss`, it does not include the parent's own peak.
    """
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise MeasurementError(found=f"no VmHWM in {STATUS}", required="Linux", remedy="run on Linux")
