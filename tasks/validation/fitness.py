"""Examines the FP32 model and stops the release early when it could not be validated.

The checks are: the outputs have one row for each sample, depend on the input, and can be judged by the
configured metrics; each input is read by an operator. They need no quantized model, so they run before
anything is quantized, in the isolated process of the step `measure baselines`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, ModelArtifact
from paddle_int8.tasks.contracts.errors import DataError, MeasurementError, ModelFormatError
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.contracts.vocabulary import OutputKind
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.data.metrics.agreement import AGREEMENT, decided
from paddle_int8.tasks.data.metrics.scoring import of_classes, resolve_metrics
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines.engine import Predictor
from paddle_int8.tasks.engines.paddle.predictor import PredictorSpec, open_predictor
from paddle_int8.tasks.validation.comparison import Comparison
from paddle_int8.tasks.validation.load import LoadEvidence, first_batch, lengths_of, load_and_run
from paddle_int8.tasks.validation.outputs import judged_output, possible, require_known, with_labels

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.ends import Ends

CUT_NMS = (
    "export the model without NMS and do it outside (PaddleDetection: `-o export.nms=False` for "
    "`tools/export_model.py`), with a callable in `validation.metrics` that compares the boxes before it"
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One trial run of the FP32 model: the inputs in `feed` and the outputs in the model's order."""

    feed: Feed
    outputs: list[Array]

    @property
    def samples(self) -> int:
        return len(next(iter(self.feed.values())))


def measure_baseline(
    spec: PredictorSpec, model: ModelArtifact, validation: DatasetArtifact, config: ValidationConfig
) -> LoadEvidence:
    """Measures the FP32 model's load time and peak memory, then examines its outputs.

    Call it in a process that has done nothing else, because the peak memory is the whole process's.
    Raises: ModelFormatError when the model cannot be opened or no operator reads one of its inputs;
    MeasurementError when its outputs cannot be measured; DataError when the labels do not fit; ConfigError
    when the configuration names outputs that the model does not have, or gives them impossible kinds.
    """
    import paddle  # noqa: F401 - its import time is not the model's

    reader = BatchReader(validation, model.inputs)
    with _running(config.batch_size):
        predictor, load = load_and_run(partial(open_predictor, spec), first_batch(reader, config.batch_size))
    outputs = examine(predictor, spec, model, reader, config)
    for output in outputs:
        labelled = "; the labels belong to it" if output.labelled and validation.labelled else ""
        logger.info("output %s holds %s: %s%s", output.name, output.kind, output.why, labelled)
    return replace(load, outputs=outputs)


def examine(
    predictor: Predictor,
    spec: PredictorSpec,
    model: ModelArtifact,
    reader: BatchReader,
    config: ValidationConfig,
) -> tuple[JudgedOutput, ...]:
    """Decides how each output will be compared. Raises: what `measure_baseline` raises."""
    from paddle_int8.tasks.engines.paddle.ends import ends

    found = ends(spec.program)
    _require_read(found.unread)
    require_known([*config.outputs, *filter(None, [config.labelled_output])], model.outputs)
    probes = [
        *(_probe(predictor, reader, size) for size in _sizes(reader, config)),
        *_smallest(predictor, reader, model),
    ]
    _require_rows(model, probes, config)
    distinct = [probe for probe in probes if probe.samples <= len(reader)]
    largest = max(distinct, key=lambda probe: probe.samples)
    labels = None if reader.labels is None else reader.labels[: largest.samples]
    outputs = _judged(model, found, largest, labels, config)
    _require_dependence(largest, outputs)
    _require_judgeable(outputs, largest, config)
    _require_classes(outputs, largest, reader, config)
    _try_metrics(outputs, largest, labels, config)
    return outputs


def _judged(
    model: ModelArtifact, found: Ends, probe: Probe, labels: Array | None, config: ValidationConfig
) -> tuple[JudgedOutput, ...]:
    judged = [
        judged_output(
            each,
            values,
            end=found.operators.get(each.name, ""),
            labels=labels,
            named=config.outputs.get(each.name),
            constant=each.name in found.constant,
        )
        for each, values in zip(model.outputs, probe.outputs, strict=True)
    ]
    if AGREEMENT in config.metrics:
        judged = [_said_of_monotony(*pair, probe) for pair in zip(judged, probe.outputs, strict=True)]
    return with_labels(judged, probe.outputs, config.labelled_output)


def _said_of_monotony(output: JudgedOutput, values: Array, probe: Probe) -> JudgedOutput:
    """Adds a note to `why` when FP32 answers the same class to all samples: agreement then shows little."""
    if output.kind is not OutputKind.CLASSES or probe.samples < 2 or not _all_alike(decided(values, output)):
        return output
    note = f"FP32 answers one class to all of the first {probe.samples} samples, so agreement shows little"
    return replace(output, why=f"{output.why}; {note}")


def _sizes(reader: BatchReader, config: ValidationConfig) -> list[int]:
    """The batch sizes that the release will run, the smaller last batch included."""
    accuracy = min(config.accuracy_batch_size, len(reader))
    return sorted({config.batch_size, accuracy, len(reader) % accuracy or accuracy})


def _smallest(predictor: Predictor, reader: BatchReader, model: ModelArtifact) -> list[Probe]:
    """Trial runs with one and with two samples, which show what an output's number of rows depends on.

    There are none for a model with a fixed batch size, nor for one that cannot run so few samples.
    """
    if any(spec.shape[:1] != (-1,) for spec in model.inputs):
        return []
    try:
        return [_probe(predictor, reader, size) for size in (1, 2)]
    except MeasurementError:
        return []


def _probe(predictor: Predictor, reader: BatchReader, size: int) -> Probe:
    feed = first_batch(reader, size)
    with _running(size):
        return Probe(feed=feed, outputs=predictor.run(feed))


@contextmanager
def _running(samples: int) -> Iterator[None]:
    """Turns the failure of a run into a MeasurementError that names the batch size."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise MeasurementError(
            found=f"FP32 cannot run {counted(samples, 'sample')} at a time: {error}",
            required="a model that runs `validation.batch_size` samples, `validation.accuracy_batch_size`, "
            "and what is left of the data for the last batch",
            remedy="export the model with a free first dimension (`InputSpec([None, ...])`), or set both and "
            "`data.calibration_batch_size` to the number that it was exported for, and "
            "`data.validation_samples` and `data.calibration_samples` to multiples of it",
        ) from error


def _require_read(unread: Sequence[str]) -> None:
    if unread:
        raise ModelFormatError(
            found=f"inputs that no operator reads: {', '.join(unread)}",
            required="inputs that the answer depends on; PaddleSlim cannot save a model with others",
            remedy="export the model again without them (leave them out of `input_spec`), and take them "
            "out of the data",
        )


def _require_rows(model: ModelArtifact, probes: Sequence[Probe], config: ValidationConfig) -> None:
    """Checks that each output has one row for each sample, at every batch size tried."""
    sequences = any(spec.sequence for spec in model.inputs)
    for index, spec in enumerate(model.outputs):
        if config.outputs.get(spec.name) is OutputKind.IGNORE:
            continue
        shapes = [(probe.samples, probe.outputs[index].shape) for probe in probes]
        if spec.sequence and not sequences:
            raise _rows_error(spec.name, shapes, "lists whose length depends on values", CUT_NMS)
        if all(shape[:1] == (samples,) for samples, shape in shapes):
            continue
        raise _rows_error(spec.name, shapes, *_meaning(index, probes))


def _meaning(index: int, probes: Sequence[Probe]) -> tuple[str, str]:
    """What the rows of an output probably are that has not one for each sample, and the remedy."""
    rows = [probe.outputs[index].shape[:1] for probe in probes]
    counted = any(
        all(_counts(values, probe, index) for values, probe in zip(column, probes, strict=True))
        for column in zip(*(probe.outputs for probe in probes), strict=True)
    )
    if counted:
        return "the boxes of all samples, counted by another output", CUT_NMS
    if len(set(rows)) == 1:
        return (
            "one value for the whole batch",
            "set the output to `ignore` in `validation.outputs`, or export the model without it "
            "(`output_spec` of `paddle.jit.save`)",
        )
    each = {row[0] / probe.samples for row, probe in zip(rows, probes, strict=True) if row}
    if len(each) == 1 and (count := each.pop()).is_integer() and count > 1:
        return (
            f"{count:g} rows for each sample, or as many boxes as NMS keeps",
            f"reshape the output to [-1, {count:g}, ...] in the model before export; of NMS, {CUT_NMS}",
        )
    return "a number of rows that depends on values", CUT_NMS


def _counts(values: Array, probe: Probe, index: int) -> bool:
    """Whether `values` [N] says how many rows each sample has in the output at `index`."""
    rows = probe.outputs[index].shape[:1]
    whole = values.dtype.kind in "iu" and values.shape == (probe.samples,)
    return whole and rows == (int(values.sum()),)


def _rows_error(
    name: str, shapes: Sequence[tuple[int, tuple[int, ...]]], meaning: str, remedy: str
) -> MeasurementError:
    seen = ", ".join(f"{list(shape)} for {samples}" for samples, shape in sorted(dict(shapes).items()))
    return MeasurementError(
        found=f"output {name} of FP32 has shape {seen} samples: {meaning}",
        required="one row for each sample in every output, since INT8 is compared with FP32 sample by sample",
        remedy=remedy,
    )


def _require_dependence(probe: Probe, outputs: Sequence[JudgedOutput]) -> None:
    """Checks that the answers differ between samples; otherwise a comparison would prove nothing."""
    silent = (OutputKind.CONSTANT, OutputKind.IGNORE)
    answers = [values for each, values in zip(outputs, probe.outputs, strict=True) if each.kind not in silent]
    if not answers:
        raise MeasurementError(
            found="no output that depends on the input and is not ignored",
            required="one at least",
            remedy="take it out of `validation.outputs`, or export the model with its answer",
        )
    numbers = any(values.dtype.kind == "f" for values in answers)  # equal classes alone prove nothing
    if numbers and all(map(_all_alike, answers)) and not all(map(_all_alike, probe.feed.values())):
        raise MeasurementError(
            found=f"the same answer of FP32 to each of {probe.samples} different samples",
            required="an answer that depends on the sample",
            remedy="check `data.preprocessing` (scale, mean, std), and that the trained model was exported",
        )


def _all_alike(values: Array) -> bool:
    return len(values) < 2 or bool((values == values[:1]).all())


def _require_judgeable(outputs: Sequence[JudgedOutput], probe: Probe, config: ValidationConfig) -> None:
    if AGREEMENT not in config.metrics:
        return
    for output, values in zip(outputs, probe.outputs, strict=True):
        if output.kind is OutputKind.OTHER:
            kinds = possible(values)
            raise MeasurementError(
                found=f"metric agreement, and output {output.name}, {values.dtype} {list(values.shape)}: "
                f"{output.why}",
                required="outputs of which it is known what they hold",
                remedy=f"set `validation.outputs: {{{output.name!r}: ...}}` to one of {', '.join(kinds)}, or "
                "name a callable `package.module:function` in `validation.metrics` instead of agreement",
            )


def _require_classes(
    outputs: Sequence[JudgedOutput], probe: Probe, reader: BatchReader, config: ValidationConfig
) -> None:
    """The labels of all samples, where the metrics of them look at scores of classes."""
    if reader.labels is None or not any(of_classes(name) for name in config.metrics):
        return
    for output, values in zip(outputs, probe.outputs, strict=True):
        classes = values[:1].size
        if output.labelled and classes > 1 and reader.labels.max(initial=0) >= classes:
            raise DataError(
                found=f"labels from {reader.labels.min()} to {reader.labels.max()}, and {classes} classes in "
                f"output {output.name}",
                required=f"labels from 0 to {classes - 1}",
                remedy="correct the labels (do they start at 1?), or name the output that they belong to in "
                "`validation.labelled_output`",
            )


def _try_metrics(
    outputs: tuple[JudgedOutput, ...], probe: Probe, labels: Array | None, config: ValidationConfig
) -> None:
    """Tries the metrics on FP32's own answers. A metric that fails there would fail on every candidate."""
    metrics = resolve_metrics(config.metrics, labelled=labels is not None, outputs=outputs)
    trial = Comparison(metrics=metrics, outputs=outputs)
    trial.add(probe.outputs, probe.outputs, labels, lengths_of(probe.feed))
