"""Runs the FP32 model on the samples of a check. Runs in the isolated process."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, ModelArtifact
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.data.metrics.agreement import AGREEMENT
from paddle_int8.tasks.data.metrics.decisions import decisions
from paddle_int8.tasks.data.metrics.scoring import resolve_metrics
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines.engine import Predictor
from paddle_int8.tasks.engines.paddle.predictor import PredictorSpec, open_predictor
from paddle_int8.tasks.preview.alternatives import Alternative
from paddle_int8.tasks.preview.findings import InputRange, SampleAnswer
from paddle_int8.tasks.process.progress import report
from paddle_int8.tasks.showing.words import answer_in_words, label_in_words
from paddle_int8.tasks.validation.comparison import Comparison
from paddle_int8.tasks.validation.load import latency_batches, lengths_of

BUDGET_S = 10.0
"""How long FP32 runs on the samples at most, and again on them with other preprocessings."""
TIMED_CALLS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersRequest:
    """What runs on what. `names` and `texts` are those of the samples, `class_names` those of the classes."""

    spec: PredictorSpec
    model: ModelArtifact
    validation: DatasetArtifact
    outputs: tuple[JudgedOutput, ...]
    config: ValidationConfig
    names: tuple[str, ...]
    texts: tuple[str, ...]
    class_names: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What FP32 answered to the samples that ran.

    rows: which of the samples ran.
    scores: of each of them, by metric.
    decisions, labels: the classes of each of them, where the labels belong to an output of classes.
    number_of_classes: in that output; 0 without one.
    decisions_with: the same with each of the alternatives, by their words.
    call_ms: one inference of `validation.batch_size` samples.
    sample_ms: one sample, when `validation.accuracy_batch_size` run together.
    input_bytes: of one sample, as the model takes it.
    """

    rows: tuple[int, ...]
    samples: tuple[SampleAnswer, ...]
    scores: dict[str, tuple[float, ...]]
    decisions: tuple[int, ...]
    labels: tuple[int, ...]
    number_of_classes: int
    ranges: tuple[InputRange, ...]
    decisions_with: dict[str, tuple[int, ...]]
    call_ms: float
    sample_ms: float
    input_bytes: int


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What has been collected of the batches that ran."""

    rows: list[int] = field(default_factory=list)
    samples: list[SampleAnswer] = field(default_factory=list)
    decisions: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    classes: int = 0
    seconds: float = 0.0
    feeds: list[Feed] = field(default_factory=list)


def answer(request: AnswersRequest) -> Answers:
    """Runs FP32 on as many of the samples as `BUDGET_S` allows, evenly chosen among them.

    Raises: MeasurementError or DataError when a metric fails.
    """
    reader = BatchReader(request.validation, request.model.inputs)
    predictor = open_predictor(request.spec)
    call_ms = _call_ms(predictor, reader, request.config)
    metrics = resolve_metrics(
        request.config.metrics, labelled=request.validation.labelled, outputs=request.outputs
    )
    comparison = Comparison(metrics=metrics, outputs=request.outputs)
    seen = _Seen()
    chosen = _chosen(predictor, reader, request.config.accuracy_batch_size)
    for rows, feed in _batches(reader, request.config.accuracy_batch_size, chosen):
        _see(request, predictor, reader, comparison, seen, rows, feed)
        report(request.step, len(seen.rows), len(chosen) * request.config.accuracy_batch_size, "samples")
    return Answers(
        rows=tuple(seen.rows),
        samples=tuple(seen.samples),
        scores={
            name: tuple(comparison.columns[f"baseline/{name}"].tolist())
            for name in metrics
            if name != AGREEMENT
        },
        decisions=tuple(seen.decisions),
        labels=tuple(seen.labels),
        number_of_classes=seen.classes,
        ranges=tuple(_range(spec.name, seen.feeds) for spec in request.model.inputs),
        decisions_with=_decisions_with(request, predictor, chosen) if seen.decisions else {},
        call_ms=call_ms,
        sample_ms=1e3 * seen.seconds / len(seen.rows),
        input_bytes=sum(each.nbytes for feed in seen.feeds for each in feed.values()) // len(seen.rows),
    )


def _see(
    request: AnswersRequest,
    predictor: Predictor,
    reader: BatchReader,
    comparison: Comparison,
    seen: _Seen,
    rows: range,
    feed: Feed,
) -> None:
    began = time.monotonic()
    outputs = predictor.run(feed)
    seen.seconds += time.monotonic() - began
    labels = None if reader.labels is None else reader.labels[rows.start : rows.stop]
    comparison.add(outputs, outputs, labels, lengths_of(feed))
    seen.rows += rows
    seen.feeds.append(feed)
    seen.samples += _answers(request, rows, outputs, labels, comparison, lengths_of(feed))
    place = _labelled(request)
    if place is not None and labels is not None and labels.ndim == 1:
        seen.decisions += decisions(outputs[place], request.outputs[place]).tolist()
        seen.labels += labels.tolist()
        seen.classes = max(outputs[place][:1].size, 2)


def _answers(
    request: AnswersRequest,
    rows: range,
    outputs: Sequence[Array],
    labels: Array | None,
    comparison: Comparison,
    lengths: Array | None,
) -> Iterator[SampleAnswer]:
    """The answers of one batch in words: those of the output that the labels belong to, else of the first."""
    place = _labelled(request) or 0
    first = next((name for name in comparison.metrics if name != AGREEMENT), None)
    scores = comparison.columns[f"baseline/{first}"][-len(rows) :] if first else None
    for at, row in enumerate(rows):
        yield SampleAnswer(
            name=request.names[row],
            text=request.texts[row],
            label=None if labels is None else label_in_words(labels[at], request.class_names),
            answer=answer_in_words(
                outputs[place][at : at + 1],
                request.outputs[place],
                request.class_names,
                None if lengths is None else int(lengths[at]),
            ),
            score=None if scores is None else float(scores[at]),
        )


def _labelled(request: AnswersRequest) -> int | None:
    return next((place for place, each in enumerate(request.outputs) if each.labelled), None)


def _call_ms(predictor: Predictor, reader: BatchReader, config: ValidationConfig) -> float:
    """The median latency of a batch, in a few calls."""
    feeds = latency_batches(reader, config.batch_size)
    predictor.run(feeds[0])
    times = []
    for call in range(TIMED_CALLS):
        began = time.perf_counter()
        predictor.run(feeds[call % len(feeds)])
        times.append(1e3 * (time.perf_counter() - began))
    return float(np.median(times))


def _chosen(predictor: Predictor, reader: BatchReader, size: int) -> frozenset[int]:
    """The numbers of the batches to run, evenly spread, since samples lie in the order of the source."""
    first = next(iter(reader.batches(size)))
    predictor.run(first)  # builds the kernels of this size
    began = time.monotonic()
    predictor.run(first)
    seconds, batches = time.monotonic() - began, math.ceil(len(reader) / size)
    return frozenset(range(0, batches, max(1, math.ceil(batches * seconds / BUDGET_S))))


def _batches(reader: BatchReader, size: int, chosen: frozenset[int]) -> Iterator[tuple[range, Feed]]:
    for number, feed in enumerate(reader.batches(size)):
        if number in chosen:
            yield range(number * size, min((number + 1) * size, len(reader))), feed


def _decisions_with(
    request: AnswersRequest, predictor: Predictor, chosen: frozenset[int]
) -> dict[str, tuple[int, ...]]:
    """What FP32 decides on the samples that ran with each alternative, as far as `BUDGET_S` reaches."""
    place, size = _labelled(request), request.config.accuracy_batch_size
    found: dict[str, tuple[int, ...]] = {}
    began = time.monotonic()
    for alternative in request.alternatives:
        if place is None or time.monotonic() - began > BUDGET_S:
            break
        report(request.step, len(found), len(request.alternatives), "other preprocessings tried")
        reader = BatchReader(request.validation, request.model.inputs, alternative.arithmetic())
        answered: list[int] = []
        for _, feed in _batches(reader, size, chosen):
            given = {name: alternative.turned(values) for name, values in feed.items()}
            answered += decisions(predictor.run(given)[place], request.outputs[place]).tolist()
        found[alternative.words] = tuple(answered)
    return found


def _range(name: str, feeds: Sequence[Feed]) -> InputRange:
    values = np.concatenate([feed[name].reshape(-1) for feed in feeds]).astype(np.float64)
    return InputRange(
        name=name,
        lowest=float(values.min()),
        highest=float(values.max()),
        mean=float(values.mean()),
        std=float(values.std()),
    )
