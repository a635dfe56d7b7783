"""Parts drawn samples in two: those that a search may look at, and those that confirm what it found.

The content of a sample decides in which part it is. So a sample that is there twice is in one part only, and
a sample that confirms in one release is searched in no other, whatever was added to the data in between.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.contracts.sequences import offsets
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.data.dataset import (
    LABELS,
    NO_LABEL,
    PREPROCESSING,
    DatasetSummary,
    input_file,
    lengths_file,
    materialise,
    sample_digests,
)
from paddle_int8.tasks.data.sampling import DrawnSample, Indices
from paddle_int8.tasks.data.sources.source import Sample, Samples

DIGITS = 8
"""So many hexadecimal digits of a sample's digest are its place between 0 and 1."""


def in_search(samples: list[DrawnSample], share: float) -> list[bool]:
    """For each sample whether it is in the part of the search, which gets about this share of them."""
    return [int(sample.digest[:DIGITS], 16) < share * 16**DIGITS for sample in samples]


def write_part(
    dataset: DatasetArtifact, inputs: tuple[TensorSpec, ...], rows: Indices, folder: Path, step: str
) -> DatasetSummary:
    """Writes the samples with the numbers `rows` to the new data set `folder`.

    Raises: DataError when there are none.
    """
    if len(rows) == 0:
        raise DataError(
            found=f"a part of the {dataset.samples} validation samples without any sample",
            required="samples for the search and samples for the confirmation",
            remedy="use more validation data, or a `validation.search_share` nearer to 0.5",
        )
    text = (dataset.folder / PREPROCESSING).read_text(encoding="utf-8")
    preprocessing = Preprocessing.model_validate_json(text)
    return materialise(_stored(dataset, inputs), rows, preprocessing, inputs, folder, step=step)


def part_of(dataset: DatasetArtifact, written: DatasetSummary, folder: StoredPath) -> DatasetArtifact:
    """The artifact of a part that `write_part` wrote; `folder` is its place in the store."""
    return replace(dataset, folder=folder, digest=written.digest, samples=written.samples)


def _stored(dataset: DatasetArtifact, inputs: tuple[TensorSpec, ...]) -> Samples:
    """The drawn samples as a source."""
    files = {spec.name: input_file(dataset.folder, spec.name) for spec in inputs}
    arrays = {name: np.load(path, mmap_mode="r") for name, path in files.items()}
    bounds = {spec.name: offsets(np.load(lengths_file(files[spec.name]))) for spec in inputs if spec.sequence}
    names = [sample.name for sample in sample_digests(dataset)]

    def read(index: int) -> Sample:
        return {
            name: array[slice(*bounds[name][index : index + 2])] if name in bounds else array[index]
            for name, array in arrays.items()
        }

    labels = np.load(dataset.folder / LABELS) if dataset.labelled else None
    padded = labels is not None and labels.ndim > 1
    return Samples(
        count=dataset.samples,
        labels=None if padded else labels,
        sequence_labels=[row[: _steps(row)] for row in labels] if labels is not None and padded else None,
        read=read,
        name=names.__getitem__,
        class_names=dataset.class_names,
    )


def _steps(labels: Indices) -> int:
    """How many time steps have a label, before the padding begins."""
    return int(np.flatnonzero(labels != NO_LABEL).max(initial=-1)) + 1
