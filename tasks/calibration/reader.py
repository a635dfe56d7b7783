"""Batches of a drawn dataset as the model takes them. Needs no Paddle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tasks.artifacts import DatasetArtifact, TensorSpec
from tasks.calibration.dataset import LABELS, PREPROCESSING, input_file
from tasks.calibration.preprocessing import Array, normalise
from tasks.config import Preprocessing


class BatchReader:
    """Reads memory-mapped samples, so that memory does not grow with their number."""

    def __init__(self, dataset: DatasetArtifact, inputs: tuple[TensorSpec, ...]) -> None:
        text = (dataset.folder / PREPROCESSING).read_text(encoding="utf-8")
        self._preprocessing = Preprocessing.model_validate_json(text)
        self._inputs: dict[str, Array] = {
            spec.name: np.load(input_file(dataset.folder, spec.name), mmap_mode="r") for spec in inputs
        }
        self._samples = dataset.samples
        self.labels: npt.NDArray[np.int64] | None = (
            np.load(dataset.folder / LABELS) if dataset.labelled else None
        )

    def __len__(self) -> int:
        return self._samples

    def batches(self, batch_size: int, limit: int | None = None) -> Iterator[dict[str, Array]]:
        """Arrays [<= batch_size, ...] by input name, the first `limit` samples in order."""
        end = len(self) if limit is None else min(limit, len(self))
        for start in range(0, end, batch_size):
            rows = slice(start, min(start + batch_size, end))
            yield {name: normalise(array[rows], self._preprocessing) for name, array in self._inputs.items()}
