"""Candidate against baseline on every validation sample, batch by batch.

Nothing grows with the number of samples but one score, one prediction and one label of each.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tasks.arrays import Array
from tasks.artifacts import ClassDrop
from tasks.errors import MeasurementError
from tasks.inference.noise import Noise
from tasks.validation.accuracy import Metric, RelativeMetric, predictions, score


@dataclass(slots=True, kw_only=True)
class Comparison:
    """Accumulates batches. `metrics` are of `tasks.validation.accuracy`."""

    metrics: Mapping[str, Metric | RelativeMetric]
    noise: Noise = field(default_factory=Noise)
    _columns: dict[str, list[Array]] = field(default_factory=dict)

    def add(self, baseline: Sequence[Array], candidate: Sequence[Array], labels: Array | None) -> None:
        """One batch's outputs, in model order.

        Raises: MeasurementError when the two disagree in shape, or outputs have no row per sample.
        """
        _require_comparable(baseline, candidate)
        self.noise.add(baseline, candidate)
        for name, metric in self.metrics.items():
            self._append(f"baseline/{name}", score(name, metric, baseline, labels, baseline))
            self._append(f"candidate/{name}", score(name, metric, candidate, labels, baseline))
        self._append("baseline/prediction", predictions(baseline))
        self._append("candidate/prediction", predictions(candidate))
        if labels is not None:
            self._append("label", labels)

    @property
    def columns(self) -> dict[str, Array]:
        """Per sample: `label`, and of `baseline/` and `candidate/` every metric and `prediction`."""
        return {name: np.concatenate(parts) for name, parts in self._columns.items()}

    def _append(self, name: str, values: Array) -> None:
        self._columns.setdefault(name, []).append(values)


def agreement(columns: Mapping[str, Array]) -> float:
    """Share of samples on which both decide alike; a non-finite output agrees with nothing."""
    ours, theirs = columns["candidate/prediction"], columns["baseline/prediction"]
    return float(((ours == theirs) & (ours >= 0)).mean()) if len(ours) else 0.0


def worst_class(columns: Mapping[str, Array], metric: str) -> ClassDrop | None:
    """The label that loses most of `metric`; None without class labels."""
    labels = columns.get("label")
    if labels is None or labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        return None
    lost = columns[f"baseline/{metric}"] - columns[f"candidate/{metric}"]
    drops = [
        ClassDrop(
            label=int(label),
            samples=int((labels == label).sum()),
            drop_pp=100 * float(lost[labels == label].mean()),
        )
        for label in np.unique(labels)
    ]
    return max(drops, key=lambda drop: drop.drop_pp, default=None)


def write_outputs(path: Path, batches: Iterator[Sequence[Array]]) -> None:
    """Writes every batch's outputs to `path` as NPY records."""
    with path.open("wb") as stream:
        for outputs in batches:
            for output in outputs:
                np.save(stream, output, allow_pickle=False)


def read_outputs(path: Path, outputs: int) -> Generator[list[Array], None, None]:
    """Batches of `outputs` arrays each, in the order written.

    Raises: MeasurementError when the file ends within a batch.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        while stream.tell() < size:
            try:
                yield [np.load(stream, allow_pickle=False) for _ in range(outputs)]
            except (EOFError, ValueError) as error:
                raise MeasurementError(
                    found=f"{path} is cut off ({error})",
                    required="the baseline's outputs, whole",
                    remedy="delete the file; it is computed again",
                ) from error


def _require_comparable(baseline: Sequence[Array], candidate: Sequence[Array]) -> None:
    shapes, others = [out.shape for out in baseline], [out.shape for out in candidate]
    if shapes != others or any(not shape or shape[0] != shapes[0][0] for shape in shapes):
        raise MeasurementError(
            found=f"outputs of shapes {others} from the candidate and {shapes} from the baseline",
            required="equal shapes, with one row per sample",
            remedy="use `model.path` of the model that was quantized; outputs must keep the batch first",
        )
