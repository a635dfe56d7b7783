"""Measures one candidate on one instruction set, in one isolated process.

The order matters. The candidate's load time and peak memory come first, before anything else is loaded.
The kernel audit and accuracy follow, on the same predictors. Latency is timed in processes of its own
(`tasks/validation/timing.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.contracts.evidence import IsaEvidence, Simulation
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.data.metrics.scoring import resolve_metrics
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines.engine import Predictor
from paddle_int8.tasks.engines.example import write_example
from paddle_int8.tasks.engines.paddle import running
from paddle_int8.tasks.engines.paddle.predictor import open_predictor
from paddle_int8.tasks.process.progress import report
from paddle_int8.tasks.validation.baseline import batches_told
from paddle_int8.tasks.validation.comparison import Comparison, ignored, metrics_of, read_outputs, worst_class
from paddle_int8.tasks.validation.load import first_batch, lengths_of, load_and_run
from paddle_int8.tasks.validation.request import MeasureRequest, prepare, require_undisturbed
from paddle_int8.tasks.validation.simulation import simulate
from paddle_int8.tasks.validation.timing import ProcessTiming, latency_evidence

AUDITED_INFERENCES = 10
OUTCOMES = "outcomes.npz"

logger = logging.getLogger(__name__)


def measure(request: MeasureRequest, timings: Sequence[ProcessTiming]) -> IsaEvidence:
    """Measures everything about one candidate on one instruction set but its latency, which `timings` hold.

    Raises: MeasurementError when oneDNN uses another instruction set than `request.isa`, a metric fails or
    the predictors disturb one another; DataError when the labels don't fit; ModelFormatError when a
    model cannot be opened.
    """
    prepare(request)
    outputs = request.baseline_load.outputs
    metrics = resolve_metrics(request.config.metrics, labelled=request.validation.labelled, outputs=outputs)
    reader = BatchReader(request.validation, request.model.inputs)
    feed = first_batch(reader, request.config.batch_size)
    report(request.step, 0, 0, "loading the model")
    candidate, load = load_and_run(request.open_candidate, feed)
    census = request.layout.comparable(request.model.census)
    candidate_audit = request.engine.audit(
        candidate, feed, inferences=AUDITED_INFERENCES, expect_int8=True, census=census
    )
    example = candidate.run(feed)
    baseline = open_predictor(request.baseline_spec())
    baseline.run(feed)
    baseline_audit = running.audit(baseline, feed, inferences=AUDITED_INFERENCES, expect_int8=False)
    comparison = Comparison(metrics=metrics, outputs=outputs)
    compare(request, reader, candidate.run, comparison, told="INT8 accuracy")
    require_undisturbed(example, candidate.run(feed))
    columns = comparison.columns
    _save(request.folder, columns, feed, dict(zip(candidate.output_names, example, strict=True)))
    evidence = IsaEvidence(
        isa=request.isa,
        emulated=request.emulated,
        metrics=metrics_of(columns, metrics, confidence=request.confidence),
        worst_class=worst_class(columns, request.config.metrics[0]),
        agreement=comparison.agreement,
        sqnr_db=comparison.sqnr_db,
        non_finite_outputs=comparison.noise.non_finite,
        baseline_non_finite_outputs=comparison.noise.baseline_non_finite,
        latency=latency_evidence(request, timings),
        audit=candidate_audit,
        baseline_audit=baseline_audit,
        load_ms=load.load_ms,
        baseline_load_ms=request.baseline_load.load_ms,
        peak_memory_bytes=load.peak_memory_bytes,
        baseline_peak_memory_bytes=request.baseline_load.peak_memory_bytes,
        outcomes=StoredPath(request.folder / OUTCOMES),
        log=request.log,
        simulation=_simulation(request, reader, baseline, candidate),
        outputs=comparison.found,
        native=request.baseline_load.native,
    )
    logger.info(
        "%s: %.2fx, %s INT8%s, SQNR %.1f dB, agreement %s",
        request.step,
        evidence.latency.speedup.ratio,
        candidate_audit.counted(),
        candidate_audit.aside(),
        evidence.sqnr_db,
        "unknown" if evidence.agreement is None else f"{evidence.agreement:.4f}",
    )
    return evidence


def compare(
    request: MeasureRequest,
    reader: BatchReader,
    run: Callable[[Feed], list[Array]],
    comparison: Comparison,
    *,
    told: str,
) -> None:
    """Adds every validation sample to `comparison`. The baseline's outputs are read from disk.

    run: answers a batch as the candidate does. told: what a progress report calls this.
    Raises: MeasurementError when an output has no row for a sample.
    """
    total, size, done = request.validation.samples, request.config.accuracy_batch_size, 0
    batches = batches_told(reader, size, request.step, told)
    with closing(read_outputs(request.baseline_outputs, len(request.model.outputs))) as stored:
        for expected, feed in zip(stored, batches, strict=False):
            labels = None if reader.labels is None else reader.labels[done : done + size]
            comparison.add(expected, run(feed), labels, lengths_of(feed))
            done += len(next(iter(feed.values())))
    if done != total:
        raise MeasurementError(
            found=f"outputs for {done} of {total} validation samples",
            required="an output row for every sample",
            remedy="export the model so that every output keeps the batch as its first dimension",
        )


def _simulation(
    request: MeasureRequest, reader: BatchReader, baseline: Predictor, candidate: Predictor
) -> Simulation | None:
    quantized = request.deployable.quantized
    if request.emulated or quantized is None:
        return None
    return simulate(
        quantized,
        reader,
        request.config.accuracy_batch_size,
        baseline,
        candidate,
        ignored(request.baseline_load.outputs),
    )


def _save(folder: Path, columns: Mapping[str, Array], feed: Feed, example: Mapping[str, Array]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / OUTCOMES, **columns)
    write_example(folder, feed, example)
