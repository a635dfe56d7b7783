"""Compares the candidate's outputs with the baseline's on every validation sample, batch by batch.

Outputs are dropped after each batch. Memory grows only by the scores, the decisions and the label of each
sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.contracts.evidence import ClassDrop, JudgedOutput, MetricEvidence, OutputEvidence
from paddle_int8.tasks.contracts.vocabulary import OutputKind
from paddle_int8.tasks.data.metrics.agreement import (
    AGREEMENT,
    DECIDING,
    UNJUDGED,
    agreements,
    decision_counts,
    least,
)
from paddle_int8.tasks.data.metrics.decisions import decisions, sureness
from paddle_int8.tasks.data.metrics.metric import Metric, RelativeMetric
from paddle_int8.tasks.data.metrics.scoring import of_classes, score
from paddle_int8.tasks.validation.noise import Noise
from paddle_int8.tasks.validation.statistics import metric_evidence

NUMBERS_WITHOUT_SIZE = frozenset({OutputKind.DECISIONS, OutputKind.BOXES})
"""Kinds of output whose values have no distance: class 7 instead of 1 is no worse than class 2 instead of 1.
They therefore have no SQNR."""


DECIDED, SURENESS = "decided", "sureness"
UNDECIDED = -1


@dataclass(slots=True, kw_only=True)
class Comparison:
    """Collects, batch by batch, each sample's scores and decisions, and the noise of each output."""

    metrics: Mapping[str, Metric | RelativeMetric]
    outputs: tuple[JudgedOutput, ...]
    noise: Noise = field(init=False)
    _columns: dict[str, list[Array]] = field(default_factory=dict)
    _decisions: dict[int, Counter[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.noise = Noise(ignored=ignored(self.outputs))

    def add(
        self,
        baseline: Sequence[Array],
        candidate: Sequence[Array],
        labels: Array | None,
        lengths: Array | None = None,
    ) -> None:
        """Adds one batch. The outputs are in the model's order; `lengths` [N] are those of its sequences.

        Raises: MeasurementError when the two disagree in shape, or when an output has no row per sample.
        """
        _require_comparable(baseline, candidate, self.noise.ignored)
        self.noise.add(baseline, candidate)
        self._count(baseline, lengths)
        for subject, outputs in (("baseline", baseline), ("candidate", candidate)):
            scores = agreements(outputs, baseline, self.outputs, lengths)
            for place, each in enumerate(scores):
                if each is not None:
                    self._append(f"{subject}/output {place}", each)
            if (together := least(scores)) is not None:
                self._append(f"{subject}/{AGREEMENT}", together)
            for name, metric in self.metrics.items():
                if name != AGREEMENT:
                    self._append(f"{subject}/{name}", score(name, metric, outputs, labels, baseline))
            self._decide(subject, outputs)
        if labels is not None:
            self._append("label", labels)

    @property
    def columns(self) -> dict[str, Array]:
        """The values of all samples, [N] by column name.

        Example: `label`, `baseline/top1`, `candidate/top1`, `candidate/agreement` (the lowest agreement of
        the sample's outputs) and `candidate/output 0` (the agreement of the first output, if its kind has
        one). Of the output that the labels belong to, or would if there were any, `decided/candidate` is the
        class, `UNDECIDED` where it holds NaN or infinity, and `sureness/candidate` the share of that class,
        if the output has scores.
        """
        return {name: np.concatenate(parts) for name, parts in self._columns.items()}

    @property
    def agreement(self) -> float | None:
        """The mean over samples of the lowest score of the sample's outputs; None when no output has one."""
        return self._mean(f"candidate/{AGREEMENT}")

    @property
    def sqnr_db(self) -> float:
        """The lowest SQNR of any output. Decisions and boxes count only when there is nothing else."""
        return min(
            (each.sqnr_db for each in self.found if each.sqnr_db is not None), default=self.noise.sqnr_db
        )

    @property
    def found(self) -> tuple[OutputEvidence, ...]:
        """The figures of each output, in the model's order."""
        return tuple(
            OutputEvidence(
                **asdict(output),
                agreement=self._mean(f"candidate/output {place}"),
                sqnr_db=None if output.kind in NUMBERS_WITHOUT_SIZE else sqnr_db,
                judged_by=tuple(name for name in self.metrics if judges(name, output)),
                commonest=self._commonest(place),
            )
            for place, (output, sqnr_db) in enumerate(
                zip(self.outputs, self.noise.by_output_db(len(self.outputs)), strict=True)
            )
        )

    def _mean(self, column: str) -> float | None:
        parts = self._columns.get(column)
        return float(np.concatenate(parts).mean()) if parts else None

    def _count(self, baseline: Sequence[Array], lengths: Array | None) -> None:
        for place, (output, values) in enumerate(zip(self.outputs, baseline, strict=True)):
            if output.kind in DECIDING:
                counts = self._decisions.setdefault(place, Counter())
                counts.update(decision_counts(values, output, lengths if output.sequence else None))

    def _decide(self, subject: str, outputs: Sequence[Array]) -> None:
        for output, values in zip(self.outputs, outputs, strict=True):
            if output.labelled:
                finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
                known = values.copy()
                known[~finite] = 0
                self._append(f"{DECIDED}/{subject}", np.where(finite, decisions(known, output), UNDECIDED))
                if (sure := sureness(known, output)) is not None:
                    self._append(f"{SURENESS}/{subject}", np.where(finite, sure, 0.0))

    def _commonest(self, place: int) -> float | None:
        counts = self._decisions.get(place)
        return max(counts.values()) / counts.total() if counts else None

    def _append(self, name: str, values: Array) -> None:
        self._columns.setdefault(name, []).append(values)


def ignored(outputs: Sequence[JudgedOutput]) -> frozenset[int]:
    """Indices of the outputs that `validation.outputs` sets to `ignore`."""
    return frozenset(place for place, each in enumerate(outputs) if each.kind is OutputKind.IGNORE)


def judges(metric: str, output: JudgedOutput) -> bool:
    """Whether a metric looks at an output. A callable is given all outputs, so it counts for each of them."""
    if output.kind is OutputKind.IGNORE:
        return False
    if metric == AGREEMENT:
        return output.kind not in UNJUDGED
    return output.labelled or not of_classes(metric)


def metrics_of(
    columns: Mapping[str, Array], names: Iterable[str], *, confidence: float
) -> tuple[MetricEvidence, ...]:
    """Every metric with its drop, of the scores in `columns`, which are named as in `Comparison.columns`."""
    return tuple(
        metric_evidence(
            name, columns[f"baseline/{name}"], columns[f"candidate/{name}"], confidence=confidence
        )
        for name in names
    )


def worst_class(columns: Mapping[str, Array], metric: str) -> ClassDrop | None:
    """The class whose score by `metric` drops most; None when the data have no class labels."""
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
    """Yields the batches in the order in which they were written. Each has `outputs` arrays.

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
                    remedy=f"delete {path.parent} and the finished steps' results in "
                    f"{path.parents[2] / 'results'}, then run the release again: both are made anew",
                ) from error


def _require_comparable(
    baseline: Sequence[Array], candidate: Sequence[Array], unread: frozenset[int]
) -> None:
    pairs = [pair for place, pair in enumerate(zip(baseline, candidate, strict=True)) if place not in unread]
    shapes, others = [out.shape for out, _ in pairs], [out.shape for _, out in pairs]
    if shapes != others or any(not shape or shape[0] != shapes[0][0] for shape in shapes):
        raise MeasurementError(
            found=f"outputs of shapes {others} from the candidate and {shapes} from the baseline",
            required="equal shapes, with one row per sample",
            remedy="take out of the model what makes a number of rows that depends on values (such as NMS), "
            "or set the output to `ignore` in `validation.outputs`",
        )
