"""Measures one candidate on one instruction set, in one isolated process.

The order matters: the candidate's load and peak memory before anything else is loaded, then the
kernel audit, accuracy, and latency beside the baseline, on the same predictors throughout.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tasks.artifacts import (
    DatasetArtifact,
    DeployableArtifact,
    IsaEvidence,
    IsaLevel,
    KernelAudit,
    LatencyEvidence,
    ModelArtifact,
    OperatorCensus,
    Simulation,
)
from tasks.calibration.reader import BatchReader
from tasks.config import Reference, ValidationConfig
from tasks.errors import MeasurementError
from tasks.hardware import onednn
from tasks.hardware.levels import environment_for, rank
from tasks.inference.bundle import EXAMPLE_INPUT, EXAMPLE_OUTPUT
from tasks.inference.layouts import Engine, engine_of
from tasks.inference.predictor import PredictorSpec, open_predictor, spec_of
from tasks.inference.serving import Array, Feed, Predictor
from tasks.model.original import baseline_folder
from tasks.progress import report
from tasks.stored_path import StoredPath
from tasks.validation.accuracy import resolve_metrics
from tasks.validation.audit import aside, audit, comparable, counted
from tasks.validation.comparison import Comparison, agreement, read_outputs, worst_class, write_outputs
from tasks.validation.latency import interleave, pin, turns
from tasks.validation.load import LoadEvidence, first_batch, latency_batches, load_and_run
from tasks.validation.simulation import simulate
from tasks.validation.statistics import latency_summary, metric_evidence, speed_ratio
from tasks.validation.verbose import VerboseRecorder

AUDITED_INFERENCES = 10
SAME_OUTPUT = 1e-4
OUTCOMES = "outcomes.npz"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRequest:
    """What to measure.

    `folder` receives `outcomes.npz` (per-sample scores and predictions of both) and the example that a
    bundle ships. `baseline_outputs` is a file that the first candidate on this instruction set writes
    and the others read: it belongs to one (model, validation data, `accuracy_batch_size`, threads,
    instruction set). `enable_int8` overrides the layout's own switch. The references of `config` are timed on
    the instruction set that serves, not on emulated ones.
    """

    model: ModelArtifact
    deployable: DeployableArtifact
    validation: DatasetArtifact
    config: ValidationConfig
    confidence: float
    isa: IsaLevel
    emulated: bool
    folder: Path
    log: Path
    baseline_outputs: Path
    baseline_load: LoadEvidence
    seed: int = 0
    enable_int8: bool | None = None

    @property
    def candidate_spec(self) -> PredictorSpec:
        engine = engine_of(self.deployable.candidate.layout)
        return spec_of(self.deployable.folder, engine, self.config.threads, self.enable_int8)

    def baseline_spec(self, engine: Engine = Engine.BASELINE) -> PredictorSpec:
        return spec_of(baseline_folder(self.model.folder), engine, self.config.threads)

    @property
    def step(self) -> str:
        return f"validate {self.deployable.candidate.name} {self.isa}"


def environment(isa: IsaLevel, *, emulated: bool, threads: int) -> dict[str, str]:
    """What the isolated process of `measure` and `measure_load` needs before it starts."""
    counts = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    return counts | (environment_for(isa) if emulated else {})


def measure(request: MeasureRequest) -> IsaEvidence:
    """Everything measured of one candidate on one instruction set.

    Raises: MeasurementError when oneDNN uses another instruction set than asked, a metric fails or the
    predictors disturb one another; DataError when the labels don't fit; ModelFormatError when a
    model cannot be opened.
    """
    pin(request.config.threads)
    require_isa(request.isa)
    metrics = resolve_metrics(request.config.metrics, labelled=request.validation.labelled)
    reader = BatchReader(request.validation, request.model.inputs)
    feed = first_batch(reader, request.config.batch_size)
    report(request.step, 0, 0, "load")
    candidate, load = load_and_run(request.candidate_spec, feed)
    recorder = VerboseRecorder()
    census = comparable(request.model.census, engine_of(request.deployable.candidate.layout))
    candidate_audit = _audit(recorder, candidate, feed, expect_int8=True, census=census)
    example = candidate.run(feed)
    baseline = open_predictor(request.baseline_spec())
    baseline.run(feed)
    baseline_audit = _audit(recorder, baseline, feed, expect_int8=False)
    comparison = Comparison(metrics=metrics)
    _compare(request, reader, baseline, candidate, comparison)
    latency = _latency(request, reader, baseline, candidate)
    _require_undisturbed(example, candidate.run(feed))
    columns = comparison.columns
    _save(request.folder, columns, feed, dict(zip(candidate.output_names, example, strict=True)))
    evidence = IsaEvidence(
        isa=request.isa,
        emulated=request.emulated,
        metrics=tuple(
            metric_evidence(
                name,
                columns[f"baseline/{name}"],
                columns[f"candidate/{name}"],
                confidence=request.confidence,
            )
            for name in metrics
        ),
        worst_class=worst_class(columns, request.config.metrics[0]),
        agreement=agreement(columns),
        sqnr_db=comparison.noise.sqnr_db,
        non_finite_outputs=comparison.noise.non_finite,
        baseline_non_finite_outputs=comparison.noise.baseline_non_finite,
        latency=latency,
        audit=candidate_audit,
        baseline_audit=baseline_audit,
        load_ms=load.load_ms,
        baseline_load_ms=request.baseline_load.load_ms,
        peak_memory_bytes=load.peak_memory_bytes,
        baseline_peak_memory_bytes=request.baseline_load.peak_memory_bytes,
        outcomes=StoredPath(request.folder / OUTCOMES),
        log=request.log,
        simulation=_simulation(request, reader, baseline, candidate),
        native=request.baseline_load.native,
    )
    logger.info(
        "%s: %.2fx, %s INT8%s, SQNR %.1f dB, agreement %.4f",
        request.step,
        latency.speedup.ratio,
        counted(candidate_audit),
        aside(candidate_audit),
        evidence.sqnr_db,
        evidence.agreement,
    )
    return evidence


def _compare(
    request: MeasureRequest,
    reader: BatchReader,
    baseline: Predictor,
    candidate: Predictor,
    comparison: Comparison,
) -> None:
    """Feeds `comparison` with every validation sample, the baseline's outputs from disk."""
    total, size = request.validation.samples, request.config.accuracy_batch_size
    if not request.baseline_outputs.exists():
        outputs = (baseline.run(feed) for feed in _batches(request, reader, "FP32 accuracy"))
        request.folder.mkdir(parents=True, exist_ok=True)
        whole = request.folder / request.baseline_outputs.name
        write_outputs(whole, outputs)
        whole.replace(request.baseline_outputs)
    done = 0
    with closing(read_outputs(request.baseline_outputs, len(baseline.output_names))) as stored:
        for expected, feed in zip(stored, _batches(request, reader, "INT8 accuracy"), strict=False):
            labels = None if reader.labels is None else reader.labels[done : done + size]
            comparison.add(expected, candidate.run(feed), labels)
            done += len(expected[0])
    if done != total:
        raise MeasurementError(
            found=f"outputs for {done} of {total} validation samples",
            required="an output row for every sample",
            remedy=f"delete {request.baseline_outputs}: it is of other data; and outputs must keep the batch "
            "as their first dimension",
        )


def _batches(request: MeasureRequest, reader: BatchReader, note: str) -> Iterator[Feed]:
    size, total = request.config.accuracy_batch_size, request.validation.samples
    for place, feed in enumerate(reader.batches(size)):
        yield feed
        report(request.step, min((place + 1) * size, total), total, note)


def _audit(
    recorder: VerboseRecorder,
    predictor: Predictor,
    feed: Feed,
    *,
    expect_int8: bool,
    census: OperatorCensus | None = None,
) -> KernelAudit:
    lines = recorder.record(lambda: predictor.run(feed), inferences=AUDITED_INFERENCES)
    return audit(lines, inferences=AUDITED_INFERENCES, expect_int8=expect_int8, census=census)


def _latency(
    request: MeasureRequest, reader: BatchReader, baseline: Predictor, candidate: Predictor
) -> LatencyEvidence:
    config = request.config
    feeds = latency_batches(reader, config.batch_size)
    references, skipped = ({}, {}) if request.emulated else _references(request)
    subjects = {"baseline": baseline, "candidate": candidate} | references
    for predictor in subjects.values():
        run_all(predictor, feeds)  # builds the kernels of every shape
    rounds, calls = turns(config.repeats)
    samples = interleave(
        {name: partial(run_all, predictor, feeds) for name, predictor in subjects.items()},
        warmup=config.warmup,
        rounds=rounds,
        calls=calls,
        seed=request.seed,
        after_round=lambda done: report(request.step, done, rounds, "latency"),
    )
    samples = {name: values / len(feeds) for name, values in samples.items()}
    return LatencyEvidence(
        threads=config.threads,
        batch_size=config.batch_size,
        warmup=config.warmup,
        calls=calls,
        summaries={
            name: latency_summary(values, batch_size=config.batch_size) for name, values in samples.items()
        },
        samples_ms={name: tuple(values.tolist()) for name, values in samples.items()},
        speedup=speed_ratio(
            samples["baseline"],
            samples["candidate"],
            calls=calls,
            confidence=request.confidence,
            seed=request.seed,
        ),
        skipped=skipped,
    )


def _simulation(
    request: MeasureRequest, reader: BatchReader, baseline: Predictor, candidate: Predictor
) -> Simulation | None:
    quantized = request.deployable.quantized
    if request.emulated or quantized is None:
        return None
    return simulate(quantized, reader, request.config.accuracy_batch_size, baseline, candidate)


def run_all(predictor: Predictor, feeds: Sequence[Feed]) -> None:
    """One pass over batches of different lengths: a server of one model finds its weights in the cache."""
    for feed in feeds:
        predictor.run(feed)


def _references(request: MeasureRequest) -> tuple[dict[str, Predictor], dict[str, str]]:
    """What the reader wants to see beside the candidate, and why one is missing."""
    opened: dict[str, Predictor] = {}
    skipped: dict[str, str] = {}
    for each in request.config.references:
        if each is Reference.BF16 and rank(request.isa) < rank(IsaLevel.AVX512_CORE):
            skipped[each.value] = (
                f"Paddle ends the process when BF16 is asked for under {request.isa}; "
                f"it needs {IsaLevel.AVX512_CORE}"
            )
        else:
            opened[each.value] = open_predictor(request.baseline_spec(Engine(each)))
    return opened, skipped


def require_isa(asked: IsaLevel) -> None:
    """Evidence must not carry the name of an instruction set that did not run."""
    if (used := onednn.effective_isa()) is not asked:
        raise MeasurementError(
            found=f"oneDNN uses {used}",
            required=f"{asked}, which was asked for",
            remedy="remove ONEDNN_MAX_CPU_ISA from the environment; list in `validation.deploy_isas` only "
            "levels that `paddle-int8 hardware` says this host can emulate",
        )


def _require_undisturbed(before: Sequence[Array], after: Sequence[Array]) -> None:
    """oneDNN's caches are shared by the predictors of a process; none may answer for another.

    The tolerance is for sums in another order; another model's weights are far beyond it.
    """
    if not all(_alike(old, new) for old, new in zip(before, after, strict=True)):
        raise MeasurementError(
            found="the candidate answers the same input differently after other predictors ran beside it",
            required="equal outputs for equal inputs",
            remedy="set `validation.threads` to 1; if it stays, this model's figures cannot be trusted",
        )


def _alike(old: Array, new: Array) -> bool:
    largest = float(np.abs(old[np.isfinite(old)]).max(initial=0.0))
    return bool(np.allclose(old, new, rtol=0, atol=SAME_OUTPUT * largest, equal_nan=True))


def _save(folder: Path, columns: Mapping[str, Array], feed: Feed, example: Mapping[str, Array]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / OUTCOMES, **columns)
    np.savez(folder / EXAMPLE_INPUT, **feed)
    np.savez(folder / EXAMPLE_OUTPUT, **example)
