"""Draws calibration, validation and training data, as Prefect tasks.

These steps are not cached, since only reading the user's files shows whether they have changed. But their
results are stored by content, so the steps after them can be cached. A source may run the user's own code or
decode any image file, so it is read in an isolated process.
"""

from __future__ import annotations

import numpy as np
from prefect import get_run_logger

from paddle_int8.tasks.config.data import DataConfig, Source
from paddle_int8.tasks.config.quantization import QatConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, ModelArtifact
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.data.dataset import (
    check_class_names,
    check_labels,
    class_notes,
    draw_dataset,
    sample_digests,
)
from paddle_int8.tasks.data.parts import in_search, part_of, write_part
from paddle_int8.tasks.data.sampling import Indices, check_disjoint
from paddle_int8.tasks.data.sources import describe
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.steps.step import stage, step, step_log
from paddle_int8.tasks.store.folder import commit, scratch

TIMEOUT_S = 24 * 3600.0
"""Limit of a draw. It is long because millions of images on a network drive take long to read."""


@step(name="calibration data")
def draw_calibration_data(config: DataConfig, model: ModelArtifact) -> DatasetArtifact:
    """Draws the samples to calibrate on. If there are labels, each class gets its share of the samples."""
    return _draw("calibration data", config.calibration, config.calibration_samples, config, model)


@step(name="validation data")
def draw_validation_data(config: DataConfig, model: ModelArtifact) -> DatasetArtifact:
    """Draws the samples on which accuracy is measured; all of them, unless the configuration says fewer."""
    return _draw("validation data", config.validation, config.validation_samples, config, model)


@step(name="training data")
def draw_training_data(config: DataConfig, qat: QatConfig, model: ModelArtifact) -> DatasetArtifact:
    """Draws the samples to train on, with the same preprocessing as for calibration and validation."""
    return _draw("training data", qat.data, qat.samples, config, model)


@step(name="part validation data")
def part_validation_data(
    validation: DatasetArtifact, model: ModelArtifact, share: float
) -> tuple[DatasetArtifact, DatasetArtifact]:
    """The samples that a search sees, about `share` of them, and those that confirm what it found.

    Raises: DataError when one of the two has no sample.
    """
    with stage("part validation data") as summary:
        searched = np.array(in_search(sample_digests(validation), share))
        parts = (
            _part("search data", validation, model, np.flatnonzero(searched)),
            _part("confirmation data", validation, model, np.flatnonzero(~searched)),
        )
        summary.append(f"{parts[0].samples} samples for the search, {parts[1].samples} to confirm")
        return parts


@step(name="check data")
def check_data(
    calibration: DatasetArtifact,
    validation: DatasetArtifact,
    model: ModelArtifact,
    training: DatasetArtifact | None = None,
) -> None:
    """Checks that the drawn data sets can be trusted.

    Raises: DataError when validation shares samples with calibration or training, when a label is beyond the
    model's classes, or when training and validation have different class folders.
    """
    check_disjoint(sample_digests(calibration), sample_digests(validation))
    check_labels(validation, model.outputs)
    if training is not None:
        check_disjoint(sample_digests(training), sample_digests(validation), use="trained on")
        check_labels(training, model.outputs)
        check_class_names(training, validation)


def _part(name: str, dataset: DatasetArtifact, model: ModelArtifact, rows: Indices) -> DatasetArtifact:
    with scratch(Settings().store, "data") as folder:
        written = write_part(dataset, model.inputs, rows, folder, name)
        return part_of(dataset, written, commit(folder, Settings().store, "data", written.digest))


def _draw(
    name: str, source: Source, count: int | None, config: DataConfig, model: ModelArtifact
) -> DatasetArtifact:
    with stage(name) as summary, scratch(Settings().store, "data") as folder:
        drawn = run_isolated(
            draw_dataset,
            source,
            count,
            config,
            model.inputs,
            folder,
            name,
            step=name,
            log=step_log(name.replace(" ", "-")),
            timeout_s=TIMEOUT_S,
        )
        notes = (*drawn.notes, *class_notes(drawn.class_names, model.outputs))
        summary += [
            f"{drawn.samples} of {drawn.of} samples, {counted(drawn.classes, 'class', 'classes')}",
            *notes,
        ]
        for note in notes:
            get_run_logger().info("%s: %s", name, note)
        return DatasetArtifact(
            folder=commit(folder, Settings().store, "data", drawn.digest),
            digest=drawn.digest,
            source=describe(source),
            samples=drawn.samples,
            classes=drawn.classes,
            seed=config.seed,
            labelled=drawn.labelled,
            class_names=drawn.class_names,
            left_out=drawn.left_out,
            notes=notes,
        )
