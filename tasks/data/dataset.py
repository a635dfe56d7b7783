"""Writes the drawn samples to disk: one `.npy` for each model input, labels, digests and preprocessing."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import IO
from urllib.parse import quote

import numpy as np

from paddle_int8.tasks.config.data import DataConfig, Preprocessing, Source
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.contracts.sequences import LENGTHS, padded
from paddle_int8.tasks.contracts.suggestion import did_you_mean
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.data.preprocessing import normalise
from paddle_int8.tasks.data.sampling import DrawnSample, Indices, draw
from paddle_int8.tasks.data.sources import open_source
from paddle_int8.tasks.data.sources.source import ONLY_INPUT, Sample, Samples
from paddle_int8.tasks.process.progress import report

logger = logging.getLogger(__name__)

LABELS, DIGESTS, PREPROCESSING = "labels.npy", "samples.json", "preprocessing.json"
REPORT_EVERY = 50
NO_LABEL = -1
"""The label of time steps that a sequence does not have: it pads labels to the longest sequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSummary:
    """What `materialise` wrote: `samples` of the source's `of` samples, and what they are."""

    digest: str
    samples: int
    of: int
    classes: int
    labelled: bool
    class_names: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class _Column:
    """A `.npy` file that is written row by row.

    A memory map would be simpler, but kills the process with SIGBUS when the disk is full.
    """

    def __init__(self, stream: IO[bytes], rows: int, first: Array) -> None:
        self._stream, self._shape, self._dtype = stream, first.shape, first.dtype
        header = {"descr": first.dtype.str, "fortran_order": False, "shape": (rows, *first.shape)}
        np.lib.format.write_array_header_1_0(stream, header)  # type: ignore[no-untyped-call] # NumPy's gap

    def append(self, value: Array, name: str) -> None:
        if (value.shape, value.dtype) != (self._shape, self._dtype):
            raise DataError(
                found=f"{name} is {value.dtype} {list(value.shape)}, "
                f"the first {self._dtype} {list(self._shape)}",
                required="samples of one shape and type",
                remedy="set `resize`, or `resize_shorter` and `center_crop`, in `data.preprocessing`",
            )
        self._stream.write(value.tobytes())

    def finish(self) -> None:
        """Does nothing, since every row is in the file already."""


class _SequenceColumn:
    """The time steps of all samples one after another, and the lengths of the samples.

    They are kept in memory until `finish` writes them.
    """

    def __init__(self, path: Path, first: Array) -> None:
        self._path, self._shape, self._dtype = path, first.shape[1:], first.dtype
        self._samples: list[Array] = []

    def append(self, value: Array, name: str) -> None:
        if value.ndim == 0 or (value.shape[1:], value.dtype) != (self._shape, self._dtype):
            raise DataError(
                found=f"{name} is {value.dtype} {list(value.shape)}, the first has steps of "
                f"{self._dtype} {list(self._shape)}",
                required="steps of one shape and type",
                remedy="correct the source",
            )
        if len(value) == 0:
            raise DataError(
                found=f"{name} is an empty sequence",
                required="at least one step in every sequence",
                remedy="take it out of the source",
            )
        self._samples.append(value)

    def finish(self) -> None:
        np.save(self._path, np.concatenate(self._samples))
        np.save(lengths_file(self._path), np.array([len(value) for value in self._samples]))


def draw_dataset(
    source: Source,
    count: int | None,
    config: DataConfig,
    inputs: tuple[TensorSpec, ...],
    folder: Path,
    step: str,
) -> DatasetSummary:
    """Draws `count` samples of `source` (all when it is None), and writes them to `folder`.

    inputs: the model's inputs, which the samples must fit.
    Raises: DataError when there are fewer samples, or when one cannot be read or does not fit.
    """
    samples = open_source(source, config.preprocessing)
    for note in samples.notes:
        logger.info("%s: %s", step, note)
    chosen = draw(samples.labels, total=samples.count, count=count, seed=config.seed)
    return materialise(samples, chosen, config.preprocessing, inputs, folder, step=step)


def materialise(
    samples: Samples,
    chosen: Indices,
    preprocessing: Preprocessing,
    inputs: tuple[TensorSpec, ...],
    folder: Path,
    *,
    step: str,
) -> DatasetSummary:
    """Writes the chosen samples into `folder`, holding one in memory at a time.

    Raises: DataError when a sample cannot be read or does not fit the model's inputs.
    """
    columns: dict[str, _Column | _SequenceColumn] = {}
    sequences = {spec.name for spec in inputs if spec.sequence}
    drawn: list[DrawnSample] = []
    with ExitStack() as stack:
        for row, index in enumerate(chosen.tolist()):
            sample = _named(samples.read(index), inputs)
            if row == 0:
                _check_fit(sample, preprocessing, inputs)
                for name, value in sample.items():
                    path = input_file(folder, name)
                    columns[name] = (
                        _SequenceColumn(path, value)
                        if name in sequences
                        else _Column(stack.enter_context(path.open("wb")), len(chosen), value)
                    )
            for name, value in sample.items():
                columns[name].append(value, samples.name(index))
            drawn.append(DrawnSample(digest=_sample_digest(sample), name=samples.name(index)))
            if row % REPORT_EVERY == 0:
                report(step, row, len(chosen))
        for column in columns.values():
            column.finish()
    labels = _labels(samples, chosen)
    if labels is not None:
        np.save(folder / LABELS, labels)
    digests = [sample.digest for sample in drawn]
    written = {"sample_digests": digests, "sample_names": [sample.name for sample in drawn]}
    (folder / DIGESTS).write_text(json.dumps(written), encoding="utf-8")
    (folder / PREPROCESSING).write_text(preprocessing.model_dump_json(indent=2), encoding="utf-8")
    return DatasetSummary(
        digest=_digest(digests, labels, preprocessing),
        samples=len(chosen),
        of=samples.count,
        classes=0 if labels is None else max(int(labels.max()) + 1, len(samples.class_names)),
        labelled=labels is not None,
        class_names=samples.class_names,
        left_out=dict(samples.left_out),
        notes=samples.notes,
    )


def input_file(folder: Path, name: str) -> Path:
    """The file of a model input's samples. Characters that a file name cannot contain are quoted.

    Raises: DataError when the input has the name of the file that holds the labels.
    """
    path = folder / f"{quote(name, safe='')}.npy"
    if path.name == LABELS:
        raise DataError(
            found=f"a model input called {name!r}",
            required=f"another name, as {LABELS} holds the labels",
            remedy="export the model with another name in its input_spec",
        )
    return path


def lengths_file(path: Path) -> Path:
    """The file with the lengths of the sequences in `path`."""
    return path.with_name(f"{path.stem}{LENGTHS}.npy")


def sample_digests(dataset: DatasetArtifact) -> list[DrawnSample]:
    """The content digest and the name of every sample, in order.

    A data set of equal content is stored once, so the names are those under which it was first drawn.
    """
    written = json.loads((dataset.folder / DIGESTS).read_text(encoding="utf-8"))
    pairs = zip(written["sample_digests"], written["sample_names"], strict=True)
    return [DrawnSample(digest=digest, name=name) for digest, name in pairs]


def check_labels(dataset: DatasetArtifact, outputs: tuple[TensorSpec, ...]) -> None:
    """Checks that every label is a class of the model's only output [N, classes].

    A model with several outputs is not checked here: which of them the labels belong to is only known once
    the FP32 model has run (`tasks.validation.fitness`).
    Raises: DataError when a label is beyond the classes.
    """
    classes = outputs[0].shape[1] if len(outputs) == 1 and len(outputs[0].shape) == 2 else -1
    if dataset.labelled and 1 < classes < dataset.classes:
        folder = f", the class folder {dataset.class_names[-1]}," if dataset.class_names else ""
        raise DataError(
            found=f"label {dataset.classes - 1}{folder} in {dataset.source}{_first_with_it(dataset)}",
            required=f"labels from 0 to {classes - 1}, as {outputs[0].name} has {classes} classes",
            remedy="correct the labels (do they start at 1?), or give the model that they belong to",
        )


def _first_with_it(dataset: DatasetArtifact) -> str:
    """Names the first sample with the highest label, for a message; empty when its class folder is empty."""
    rows = np.argwhere(np.load(dataset.folder / LABELS) == dataset.classes - 1)
    return f", of {sample_digests(dataset)[rows[0][0]].name}" if len(rows) else ""


def check_class_names(training: DatasetArtifact, validation: DatasetArtifact) -> None:
    """Checks that every label stands for the same class folder in both data sets.

    Raises: DataError when one does not.
    """
    pairs = zip_longest(training.class_names, validation.class_names, fillvalue="none")
    other = next(((label, a, b) for label, (a, b) in enumerate(pairs) if a != b), None)
    if training.class_names and validation.class_names and other:
        label, trained, validated = other
        raise DataError(
            found=f"label {label} is the folder {trained} in {training.source}, and {validated} in "
            f"{validation.source}",
            required="the same class folders in both, as their order numbers the classes",
            remedy="add the folders that are missing, empty ones too, or name the labels in a `list_file`",
        )


def class_notes(names: Sequence[str], outputs: tuple[TensorSpec, ...]) -> tuple[str, ...]:
    """A note when there are not as many class folders as the model has classes.

    Folders are numbered in order, so a missing one gives all folders after it the wrong label.
    """
    classes = outputs[0].shape[1] if outputs and len(outputs[0].shape) == 2 else -1
    if not names or classes in (-1, len(names)):
        return ()
    return (
        f"{counted(len(names), 'class folder')}, and {outputs[0].name} has "
        f"{counted(classes, 'class', 'classes')}: are all folders there?",
    )


def _labels(samples: Samples, chosen: Indices) -> Array | None:
    """The labels [N], or [N, longest] when every time step has a label."""
    if samples.sequence_labels is not None:
        rows = [samples.sequence_labels[index] for index in chosen.tolist()]
        return padded(np.concatenate(rows), np.array([len(row) for row in rows]), NO_LABEL)
    return None if samples.labels is None else samples.labels[chosen]


def _named(sample: Sample, inputs: tuple[TensorSpec, ...]) -> Sample:
    names = [spec.name for spec in inputs]
    if list(sample) == [ONLY_INPUT] and len(names) == 1:
        return {names[0]: sample[ONLY_INPUT]}
    if sorted(sample) != sorted(names):
        raise DataError(
            found="one unnamed input in the data"
            if list(sample) == [ONLY_INPUT]
            else f"inputs {sorted(sample)} in the data",
            required=f"the model's inputs {sorted(names)}",
            remedy="name the arrays like the model's inputs; `labels` of an npz source names the labels"
            + _meant(sorted(set(sample) - set(names)), sorted(set(names) - set(sample))),
        )
    return {name: sample[name] for name in names}


def _meant(unknown: Sequence[str], missing: Sequence[str]) -> str:
    """`; imges: did you mean …?` for each name that the model has not and that resembles a missing one."""
    named = [(name, did_you_mean(name, missing).removeprefix(", ")) for name in unknown]
    return "".join(f"; {name}: {suggestion}" for name, suggestion in named if suggestion)


def _check_fit(sample: Sample, preprocessing: Preprocessing, inputs: tuple[TensorSpec, ...]) -> None:
    """Checks that shape and number type, after all preprocessing, are those of the model's inputs."""
    for spec in inputs:
        given = sample[spec.name]
        value = normalise(given if spec.sequence else given[None], preprocessing)
        fits = len(value.shape) == len(spec.shape) and all(
            required in (-1, found) for required, found in zip(spec.shape[1:], value.shape[1:], strict=True)
        )
        if not fits or value.dtype.name != spec.dtype:
            raise DataError(
                found=f"{value.dtype} {list(value.shape)} for input {spec.name}, after preprocessing",
                required=f"{spec.dtype} {list(spec.shape)}, -1 being free",
                remedy="correct `data.preprocessing`: resize, center_crop, grayscale, dtype, or "
                "`layout: as_is` for arrays that are in the model's order already",
            )


def _sample_digest(sample: dict[str, Array]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(sample.items()):
        digest.update(f"{name} {value.dtype} {value.shape}\0".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _digest(digests: list[str], labels: Array | None, preprocessing: Preprocessing) -> str:
    digest = hashlib.sha256("".join(digests).encode())
    digest.update(b"" if labels is None else labels.tobytes())
    digest.update(preprocessing.model_dump_json().encode())
    return digest.hexdigest()
