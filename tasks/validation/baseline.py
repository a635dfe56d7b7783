"""Computes the FP32 baseline's outputs for the validation samples, once for all candidates.

This module runs in the isolated process only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, ModelArtifact
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines.paddle.original import baseline_folder
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.switches import BASELINE
from paddle_int8.tasks.hardware.onednn import require_isa
from paddle_int8.tasks.process.progress import report
from paddle_int8.tasks.validation.comparison import write_outputs

OUTPUTS = "outputs"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsRequest:
    """Names the baseline, its data and its threads. `folder` exists and receives the file `OUTPUTS`."""

    model: ModelArtifact
    validation: DatasetArtifact
    batch_size: int
    threads: int
    isa: IsaLevel
    folder: Path

    @property
    def step(self) -> str:
        return f"baseline outputs {self.isa}"


def write_baseline_outputs(request: OutputsRequest) -> None:
    """Writes the outputs of every batch, in the order of the samples.

    Raises: MeasurementError when oneDNN uses another instruction set than `request.isa`; ModelFormatError
    when the model cannot be opened.
    """
    require_isa(request.isa)
    spec = spec_of(baseline_folder(request.model.folder), BASELINE, request.threads)
    baseline, reader = open_predictor(spec), BatchReader(request.validation, request.model.inputs)
    batches = batches_told(reader, request.batch_size, request.step, "FP32 accuracy")
    write_outputs(request.folder / OUTPUTS, (baseline.run(feed) for feed in batches))


def batches_told(reader: BatchReader, size: int, step: str, note: str) -> Iterator[Feed]:
    """Yields every sample, `size` at a time, and reports the progress after each batch."""
    for number, feed in enumerate(reader.batches(size), start=1):
        yield feed
        report(step, min(number * size, len(reader)), len(reader), note)
