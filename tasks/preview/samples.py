"""Reads as many of a release's own samples as a check needs. Runs in the isolated process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddle_int8.tasks.config.data import DataConfig, Source
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, TensorSpec
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.data.dataset import class_notes, materialise
from paddle_int8.tasks.data.sampling import Indices, draw
from paddle_int8.tasks.data.sources import describe, open_source
from paddle_int8.tasks.data.sources.source import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSamples:
    """What was read of a source.

    dataset: the samples that were read.
    found: how many the source has; a release takes `taken` of them.
    texts: what each sample that was read says, where it is a text.
    seconds_each: the time that reading one takes.
    """

    dataset: DatasetArtifact
    found: int
    taken: int
    texts: tuple[str, ...]
    seconds_each: float


def read_samples(
    source: Source,
    count: int | None,
    config: DataConfig,
    model: tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]],
    folder: Path,
    at_most: int,
    step: str,
) -> ReadSamples:
    """Draws what a release draws, and reads `at_most` of it, each class in proportion, into `folder`.

    count: how many a release draws; all when it is None.
    model: the specs of its inputs and of its outputs.
    Raises: DataError as the draw of a release does.
    """
    inputs, outputs = model
    samples = open_source(source, config.preprocessing)
    taken = draw(samples.labels, total=samples.count, count=count, seed=config.seed)
    chosen = _some(samples, taken, at_most, config.seed)
    began = time.monotonic()
    summary = materialise(samples, chosen, config.preprocessing, inputs, folder, step=step)
    seconds = time.monotonic() - began
    classes = summary.classes
    if samples.labels is not None:
        classes = max(int(samples.labels[taken].max()) + 1, len(samples.class_names))
    return ReadSamples(
        dataset=DatasetArtifact(
            folder=StoredPath(folder),
            digest=summary.digest,
            source=describe(source),
            samples=summary.samples,
            classes=classes,
            seed=config.seed,
            labelled=summary.labelled,
            class_names=summary.class_names,
            left_out=summary.left_out,
            notes=(*summary.notes, *class_notes(summary.class_names, outputs)),
        ),
        found=samples.count,
        taken=len(taken),
        texts=tuple(samples.text(index) for index in chosen.tolist()),
        seconds_each=seconds / len(chosen),
    )


def _some(samples: Samples, taken: Indices, at_most: int, seed: int) -> Indices:
    if len(taken) <= at_most:
        return taken
    labels = None if samples.labels is None else samples.labels[taken]
    return np.sort(taken[draw(labels, total=len(taken), count=at_most, seed=seed)])
