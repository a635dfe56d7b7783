"""Measures one candidate with another version of Paddle Inference, in that version's own environment.

Accuracy is compared with the FP32 baseline's answers in the Paddle of the release. FP32 and the candidate are
timed beside one another in the other Paddle. `measure_with` runs in the isolated process only.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import asdict, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

import paddle_int8
from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.contracts.artifacts import PaddleRuntime
from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.contracts.evidence import IsaEvidence
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.data.metrics.scoring import resolve_metrics
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines.paddle import serving
from paddle_int8.tasks.engines.paddle.audit import kernels
from paddle_int8.tasks.engines.paddle.original import baseline_folder
from paddle_int8.tasks.engines.paddle.switches import BASELINE, Switches
from paddle_int8.tasks.hardware.disturbance import Reading, reading
from paddle_int8.tasks.hardware.onednn import require_isa
from paddle_int8.tasks.validation import runtime_child
from paddle_int8.tasks.validation.comparison import Comparison, metrics_of, worst_class
from paddle_int8.tasks.validation.latency import pin, turns
from paddle_int8.tasks.validation.load import first_batch, latency_batches
from paddle_int8.tasks.validation.measure import AUDITED_INFERENCES, OUTCOMES, compare
from paddle_int8.tasks.validation.request import MeasureRequest
from paddle_int8.tasks.validation.timing import ProcessTiming, latency_evidence

ROOT = Path(paddle_int8.__file__).parents[1]
ENDS_S = 30
BASELINE_MODEL, CANDIDATE = "baseline", "candidate"


class OtherPaddle:
    """A process with another Paddle. Raises: MeasurementError when what it is asked for fails there."""

    def __init__(self, runtime: PaddleRuntime, log: Path) -> None:
        self._runtime, self._log = runtime, log

    def __enter__(self) -> OtherPaddle:
        ours, theirs = Pipe()
        script, served = runtime_child.__file__, serving.__file__
        with self._log.open("ab") as log, theirs:
            command = [self._runtime.python, "-I", script, str(theirs.fileno()), str(ROOT), served]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdout=log, stderr=log)
        self._connection: Connection[tuple[str, tuple[object, ...]], tuple[str, Any]] = ours
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        try:
            self._process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, name: str, *arguments: object) -> Any:
        try:
            self._connection.send((name, arguments))
            outcome, found = self._connection.recv()
        except (EOFError, OSError):
            outcome, found = "failed", f"its process ended with {self._process.wait()}; see {self._log}"
        if outcome == "failed":
            raise MeasurementError(
                found=f"Paddle {self._runtime.version} cannot {name} the model: {found}",
                required="a model that runs with every version in `validation.runtimes`",
                remedy=f"take {self._runtime.version} out of `validation.runtimes`, or another layout",
            )
        return found

    def open(self, name: str, folder: Path, switches: Switches, threads: int, feed: Feed) -> float:
        return float(self.ask("open", name, str(folder), asdict(switches), threads, feed))


def measure_with(request: MeasureRequest, runtime: PaddleRuntime) -> IsaEvidence:
    """Accuracy, latency and the kernels of one candidate with another Paddle.

    Raises: MeasurementError when the model does not run there.
    """
    allowed = os.sched_getaffinity(0)
    timed = [_timed(request, runtime, place, allowed) for place in range(request.config.processes)]
    _pin_among(allowed, request.config.threads)
    reader = BatchReader(request.validation, request.model.inputs)
    feed = first_batch(reader, request.config.batch_size)
    threads, outputs = request.config.threads, request.baseline_load.outputs
    metrics = resolve_metrics(request.config.metrics, labelled=request.validation.labelled, outputs=outputs)
    with OtherPaddle(runtime, request.log) as other:
        load_ms = other.open(CANDIDATE, request.deployable.folder, request.candidate_switches, threads, feed)
        memory = int(other.ask("peak_memory_bytes"))
        require_isa(request.isa, used=IsaLevel(other.ask("isa")), by=f"Paddle {runtime.version}")
        lines = other.ask("verbose", CANDIDATE, feed, AUDITED_INFERENCES)
        baseline_load_ms = _open_baseline(request, other, feed)
        baseline_lines = other.ask("verbose", BASELINE_MODEL, feed, AUDITED_INFERENCES)
        comparison = Comparison(metrics=metrics, outputs=outputs)
        compare(
            request,
            reader,
            lambda feed: other.ask("run", CANDIDATE, feed),
            comparison,
            told="INT8 accuracy with another Paddle",
        )
    columns = comparison.columns
    request.folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(request.folder / OUTCOMES, **columns)
    census = request.layout.comparable(request.model.census)
    return IsaEvidence(
        isa=request.isa,
        emulated=False,
        metrics=metrics_of(columns, metrics, confidence=request.confidence),
        worst_class=worst_class(columns, request.config.metrics[0]),
        agreement=comparison.agreement,
        sqnr_db=comparison.sqnr_db,
        non_finite_outputs=comparison.noise.non_finite,
        baseline_non_finite_outputs=comparison.noise.baseline_non_finite,
        latency=latency_evidence(request, timed),
        audit=kernels.audit(lines, inferences=AUDITED_INFERENCES, expect_int8=True, census=census),
        baseline_audit=kernels.audit(baseline_lines, inferences=AUDITED_INFERENCES, expect_int8=False),
        load_ms=load_ms,
        baseline_load_ms=baseline_load_ms,
        peak_memory_bytes=memory,
        baseline_peak_memory_bytes=request.baseline_load.peak_memory_bytes,
        outcomes=StoredPath(request.folder / OUTCOMES),
        log=request.log,
        outputs=comparison.found,
    )


def _open_baseline(request: MeasureRequest, other: OtherPaddle, feed: Feed) -> float:
    folder = baseline_folder(request.model.folder)
    return other.open(BASELINE_MODEL, folder, BASELINE, request.config.threads, feed)


def _pin_among(allowed: set[int], threads: int, place: int = 0) -> None:
    """Pins this process, and so those that it starts, whatever it was pinned to before."""
    os.sched_setaffinity(0, allowed)
    pin(threads, place)


def _timed(request: MeasureRequest, runtime: PaddleRuntime, place: int, allowed: set[int]) -> ProcessTiming:
    """Times both models in a process of their own."""
    config = request.config
    _pin_among(allowed, config.threads, place)
    feeds = latency_batches(BatchReader(request.validation, request.model.inputs), config.batch_size)
    rounds, calls = turns(config.repeats, config.processes)
    with OtherPaddle(runtime, request.log) as other:
        other.open(CANDIDATE, request.deployable.folder, request.candidate_switches, config.threads, feeds[0])
        _open_baseline(request, other, feeds[0])
        before = _reading(other)
        samples, seconds, waited_s = other.ask(
            "time", feeds, config.threads, config.warmup, rounds, calls, request.seed + place
        )
        ends = before, _reading(other)
    return ProcessTiming(
        samples_ms={name: values / len(feeds) for name, values in samples.items()},
        skipped={},
        ends=ends,
        seconds=seconds,
        waited_s=waited_s,
    )


def _reading(other: OtherPaddle) -> Reading:
    """The host's counters now; the other process's time counts as this one's own."""
    now = reading()
    return replace(now, own_s=now.own_s + float(other.ask("cpu_s")))
