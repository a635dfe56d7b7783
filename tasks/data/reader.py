"""Reads a drawn data set in batches, as the model takes them. This module needs no Paddle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, TensorSpec
from paddle_int8.tasks.contracts.sequences import LENGTHS, offsets, padded
from paddle_int8.tasks.data.dataset import LABELS, PREPROCESSING, input_file, lengths_file
from paddle_int8.tasks.data.preprocessing import normalise


class BatchReader:
    """Reads samples through a memory map, so that memory does not grow with their number."""

    def __init__(
        self,
        dataset: DatasetArtifact,
        inputs: tuple[TensorSpec, ...],
        preprocessing: Preprocessing | None = None,
    ) -> None:
        """preprocessing: whose arithmetic is applied instead of that with which the data were drawn."""
        text = (dataset.folder / PREPROCESSING).read_text(encoding="utf-8")
        self._preprocessing = preprocessing or Preprocessing.model_validate_json(text)
        self._inputs: dict[str, Array] = {
            spec.name: np.load(input_file(dataset.folder, spec.name), mmap_mode="r") for spec in inputs
        }
        self._lengths: dict[str, Array] = {
            spec.name: np.load(lengths_file(input_file(dataset.folder, spec.name)))
            for spec in inputs
            if spec.sequence
        }
        self._offsets = {name: offsets(lengths) for name, lengths in self._lengths.items()}
        self._samples = dataset.samples
        self.labels: npt.NDArray[np.int64] | None = (
            np.load(dataset.folder / LABELS) if dataset.labelled else None
        )

    @property
    def sequences(self) -> bool:
        """Whether samples differ in length."""
        return bool(self._lengths)

    def __len__(self) -> int:
        return self._samples

    def take(self, rows: npt.NDArray[np.int64]) -> dict[str, Array]:
        """The samples with the numbers `rows`, in that order."""
        return {name: normalise(array[rows], self._preprocessing) for name, array in self._inputs.items()}

    def batches(self, batch_size: int, limit: int | None = None) -> Iterator[dict[str, Array]]:
        """Batches of the first `limit` samples in order: arrays [<= batch_size, ...] by input name.

        A sequence input is padded, and its lengths are in the batch too, under the name that `LENGTHS` gives.
        """
        end = len(self) if limit is None else min(limit, len(self))
        for start in range(0, end, batch_size):
            stop = min(start + batch_size, end)
            feed: dict[str, Array] = {}
            for name, array in self._inputs.items():
                feed.update(
                    self._sequences(name, array, start, stop)
                    if name in self._lengths
                    else {name: normalise(array[start:stop], self._preprocessing)}
                )
            yield feed

    def _sequences(self, name: str, array: Array, start: int, stop: int) -> dict[str, Array]:
        bounds, lengths = self._offsets[name], self._lengths[name][start:stop]
        steps = normalise(array[bounds[start] : bounds[stop]], self._preprocessing)
        return {name: padded(steps, lengths), name + LENGTHS: lengths}
