"""Measures one candidate on one instruction set, in one isolated process.

The order matters. The candidate's load time and peak memory come first, before anything else is loaded.
The kernel audit, accuracy and latency follow, all on the same predictors.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from paddle_int8.tasks.config.validation import Reference, ValidationConfig
from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.artifacts import (
    DatasetArtifact,
    DeployableArtifact,
    ModelArtifact,
)
from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.contracts.evidence import IsaEvidence, LatencyEvidence, Simulation
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.data.metrics.scoring import resolve_metrics
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines import ENGINES
from paddle_int8.tasks.engines.engine import Engine, Predictor
from paddle_int8.tasks.engines.example import write_example
from paddle_int8.tasks.engines.paddle import running
from paddle_int8.tasks.engines.paddle.original import baseline_folder
from paddle_int8.tasks.engines.paddle.predictor import PredictorSpec, open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.switches import BASELINE, BF16, NATIVE_FP32, Switches, beside
from paddle_int8.tasks.hardware.levels import rank
from paddle_int8.tasks.hardware.onednn import require_isa
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts.layout import Layout
from paddle_int8.tasks.process.progress import report
from paddle_int8.tasks.validation.baseline import batches_told
from paddle_int8.tasks.validation.comparison import Comparison, ignored, metrics_of, read_outputs, worst_class
from paddle_int8.tasks.validation.latency import interleave, pin, turns
from paddle_int8.tasks.validation.load import (
    LoadEvidence,
    first_batch,
    latency_batches,
    lengths_of,
    load_and_run,
)
from paddle_int8.tasks.validation.simulation import simulate
from paddle_int8.tasks.validation.statistics import latency_summary, speed_ratio

AUDITED_INFERENCES = 10
REFERENCES = {Reference.NATIVE_FP32: NATIVE_FP32, Reference.BF16: BF16}
"""How Paddle's predictor opens the FP32 model for each of them."""
SAME_OUTPUT = 1e-4
OUTCOMES = "outcomes.npz"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRequest:
    """What to measure, and where its files go.

    `folder` receives `outcomes.npz` (per-sample scores of both) and the example that a
    bundle ships. `baseline_outputs` is the file that `write_baseline_outputs` made with the same model and
    validation data, `accuracy_batch_size`, threads and instruction set. `switches` are used instead of the
    layout's own. The references of `config` are timed on the instruction set that serves, on no emulated one.
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
    switches: Any = None

    @property
    def layout(self) -> Layout:
        return LAYOUTS.find(self.deployable.candidate.layout)

    @property
    def engine(self) -> Engine:
        """What runs the candidate. The baseline and the references are Paddle's."""
        return ENGINES.find(self.layout.engine)

    @property
    def candidate_switches(self) -> Any:
        return self.switches or self.layout.switches

    def open_candidate(self) -> Predictor:
        return self.engine.open(self.deployable.folder, self.candidate_switches, self.config.threads)

    def baseline_spec(self, switches: Switches = BASELINE) -> PredictorSpec:
        """The FP32 model, to be opened in the process in which the candidate is."""
        together = beside(switches, self.candidate_switches)
        return spec_of(baseline_folder(self.model.folder), together, self.config.threads)

    @property
    def step(self) -> str:
        return f"validate {self.deployable.candidate.name} {self.isa}"


def measure(request: MeasureRequest) -> IsaEvidence:
    """Measures everything about one candidate on one instruction set.

    Raises: MeasurementError when oneDNN uses another instruction set than `request.isa`, a metric fails or
    the predictors disturb one another; DataError when the labels don't fit; ModelFormatError when a
    model cannot be opened.
    """
    pin(request.config.threads)
    engine = request.engine
    engine.load()
    require_isa(request.isa)
    require_isa(request.isa, used=engine.isa(), by=engine.name)
    outputs = request.baseline_load.outputs
    metrics = resolve_metrics(request.config.metrics, labelled=request.validation.labelled, outputs=outputs)
    reader = BatchReader(request.validation, request.model.inputs)
    feed = first_batch(reader, request.config.batch_size)
    report(request.step, 0, 0, "load")
    candidate, load = load_and_run(request.open_candidate, feed)
    census = request.layout.comparable(request.model.census)
    candidate_audit = engine.audit(
        candidate, feed, inferences=AUDITED_INFERENCES, expect_int8=True, census=census
    )
    example = candidate.run(feed)
    baseline = open_predictor(request.baseline_spec())
    baseline.run(feed)
    baseline_audit = running.audit(baseline, feed, inferences=AUDITED_INFERENCES, expect_int8=False)
    comparison = Comparison(metrics=metrics, outputs=outputs)
    _compare(request, reader, baseline, candidate, comparison)
    latency = _latency(request, reader, baseline, candidate)
    _require_undisturbed(example, candidate.run(feed))
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
        outputs=comparison.found,
        native=request.baseline_load.native,
    )
    logger.info(
        "%s: %.2fx, %s INT8%s, SQNR %.1f dB, agreement %s",
        request.step,
        latency.speedup.ratio,
        candidate_audit.counted(),
        candidate_audit.aside(),
        evidence.sqnr_db,
        "unknown" if evidence.agreement is None else f"{evidence.agreement:.4f}",
    )
    return evidence


def _compare(
    request: MeasureRequest,
    reader: BatchReader,
    baseline: Predictor,
    candidate: Predictor,
    comparison: Comparison,
) -> None:
    """Adds every validation sample to `comparison`. The baseline's outputs are read from disk."""
    total, size, done = request.validation.samples, request.config.accuracy_batch_size, 0
    batches = batches_told(reader, size, request.step, "INT8 accuracy")
    with closing(read_outputs(request.baseline_outputs, len(baseline.output_names))) as stored:
        for expected, feed in zip(stored, batches, strict=False):
            labels = None if reader.labels is None else reader.labels[done : done + size]
            comparison.add(expected, candidate.run(feed), labels, lengths_of(feed))
            done += len(next(iter(feed.values())))
    if done != total:
        raise MeasurementError(
            found=f"outputs for {done} of {total} validation samples",
            required="an output row for every sample",
            remedy="export the model so that every output keeps the batch as its first dimension",
        )


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
    return simulate(
        quantized,
        reader,
        request.config.accuracy_batch_size,
        baseline,
        candidate,
        ignored(request.baseline_load.outputs),
    )


def run_all(predictor: Predictor, feeds: Sequence[Feed]) -> None:
    """Runs all batches once. One such pass counts as one call, so the model's weights stay in the caches."""
    for feed in feeds:
        predictor.run(feed)


def _references(request: MeasureRequest) -> tuple[dict[str, Predictor], dict[str, str]]:
    """Opens the references of the configuration; returns them, and for each that cannot run the reason."""
    opened: dict[str, Predictor] = {}
    skipped: dict[str, str] = {}
    for each in request.config.references:
        if each is Reference.BF16 and rank(request.isa) < rank(IsaLevel.AVX512_CORE):
            skipped[each.value] = (
                f"Paddle ends the process when BF16 is asked for under {request.isa}; "
                f"it needs {IsaLevel.AVX512_CORE}"
            )
        else:
            opened[each.value] = open_predictor(request.baseline_spec(REFERENCES[each]))
    return opened, skipped


def _require_undisturbed(before: Sequence[Array], after: Sequence[Array]) -> None:
    """Checks that the candidate still answers as it did before other predictors ran in this process.

    The predictors of a process share oneDNN's caches. The tolerance allows for sums in another order; another
    model's weights would differ far more.
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
    write_example(folder, feed, example)
