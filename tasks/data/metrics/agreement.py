"""Scores how well the outputs of INT8 and FP32 agree, sample by sample, according to what an output holds.

Every score is between 0 and 1, and equal answers score 1. If a model has several outputs, a sample gets the
lowest of their scores: whoever uses the answer reads all outputs, and a mean would hide one that is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.contracts.vocabulary import OutputKind
from paddle_int8.tasks.data.metrics.metric import NamedMetric, Outputs, RelativeMetric

AGREEMENT = "agreement"
MIN_OVERLAP = 0.5
BOX_COLUMNS = 6
UNJUDGED = frozenset({OutputKind.CONSTANT, OutputKind.OTHER, OutputKind.IGNORE})
"""Kinds of output that have no score."""


def agreements(
    ours: Sequence[Array],
    theirs: Sequence[Array],
    outputs: Sequence[JudgedOutput],
    lengths: Array | None = None,
) -> list[Array | None]:
    """For each output the scores of all samples [N], or None for a kind without a score.

    ours, theirs: the outputs of INT8 and of FP32 for one batch.
    lengths: the lengths [N] of the samples, when the model takes sequences.
    """
    pairs = zip(outputs, ours, theirs, strict=True)
    return [
        None if output.kind in UNJUDGED else alike(mine, other, output, lengths if output.sequence else None)
        for output, mine, other in pairs
    ]


def least(scores: Iterable[Array | None]) -> Array | None:
    """The lowest score of each sample over all outputs: [N]; None when no output has scores."""
    known = [each for each in scores if each is not None]
    return np.minimum.reduce(known) if known else None


def alike(ours: Array, theirs: Array, output: JudgedOutput, lengths: Array | None = None) -> Array:
    """The scores of one output: [N]. A sample with NaN or Inf in either model scores 0.

    classes [N, C]: 1 where the highest score belongs to the same class.
    steps [N, T, C], pixels [N, C, H, W], flags and decisions of any shape: the share of equal decisions.
    embedding [N, D] or [N, T, D]: the cosine similarity, averaged over time steps; 0 where it is negative.
    boxes [N, K, 6]: F1 of the boxes, where those of FP32 count as true.
    """
    finite = _finite(ours) & _finite(theirs)
    if not finite.all():
        ours, theirs = (np.where(_beside(finite, values), values, 0) for values in (ours, theirs))
    scores = SCORES[output.kind](ours, theirs, output, lengths)
    found: Array = np.where(finite, scores, 0.0)
    return found


def decided(values: Array, output: JudgedOutput) -> Array:
    """The decisions that an output expresses: int64 [N, ...].

    When scores are equal, the lowest class number is the decision.
    """
    if output.kind is OutputKind.DECISIONS:
        return values.astype(np.int64)
    if output.kind is OutputKind.FLAGS or values.ndim == 1:
        return (values > output.threshold).astype(np.int64)
    if values.shape[output.axis] == 1:
        return (np.squeeze(values, output.axis) > output.threshold).astype(np.int64)
    greatest: Array = values.argmax(axis=output.axis).astype(np.int64)
    return greatest


def decision_counts(values: Array, output: JudgedOutput, lengths: Array | None = None) -> Counter[int]:
    """How often an output expresses each decision; steps beyond a sample's length do not count."""
    found = decided(values, output)
    if lengths is not None and found.ndim > 1 and lengths.max(initial=0) <= found.shape[1]:
        found = found[_within(lengths, found.shape[1])]
    kinds, counts = np.unique(found, return_counts=True)
    return Counter(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))


def _same_decisions(ours: Array, theirs: Array, output: JudgedOutput, lengths: Array | None) -> Array:
    same = decided(ours, output) == decided(theirs, output)
    steps = same[:, None] if same.ndim == 1 else same
    return _mean_of_steps(steps.mean(axis=tuple(range(2, steps.ndim))), lengths)


def _cosine(ours: Array, theirs: Array, output: JudgedOutput, lengths: Array | None) -> Array:
    steps = ours.shape[1] if ours.ndim == 3 else 1
    first, second = (values.reshape(len(ours), steps, -1).astype(np.float64) for values in (ours, theirs))
    sizes = np.linalg.norm(first, axis=2) * np.linalg.norm(second, axis=2)
    cosines = (first * second).sum(axis=2) / np.where(sizes > 0, sizes, 1.0)
    equal = (first == second).all(axis=2)  # rounding leaves their cosine below 1, and they may be 0
    return _mean_of_steps(np.where(equal, 1.0, cosines.clip(0.0, 1.0)), lengths)


def _same_boxes(ours: Array, theirs: Array, output: JudgedOutput, lengths: Array | None) -> Array:
    pairs = zip(ours.astype(np.float64), theirs.astype(np.float64), strict=True)
    return np.array([_f1(_seen(mine, output), _seen(other, output)) for mine, other in pairs])


SCORES: dict[OutputKind, Callable[[Array, Array, JudgedOutput, Array | None], Array]] = {
    OutputKind.CLASSES: _same_decisions,
    OutputKind.STEPS: _same_decisions,
    OutputKind.PIXELS: _same_decisions,
    OutputKind.FLAGS: _same_decisions,
    OutputKind.DECISIONS: _same_decisions,
    OutputKind.EMBEDDING: _cosine,
    OutputKind.BOXES: _same_boxes,
}

DECIDING = frozenset(kind for kind, scores in SCORES.items() if scores is _same_decisions)
"""Kinds of output that hold decisions, which agree or do not."""


def _mean_of_steps(scores: Array, lengths: Array | None) -> Array:
    """The mean over time steps, [N, T] to [N]; steps beyond a sample's length do not count."""
    steps = scores.shape[1]
    if lengths is None or lengths.max(initial=0) > steps:
        mean: Array = scores.mean(axis=1) if steps else np.ones(len(scores))
        return mean
    there = _within(lengths, steps)
    shares: Array = (scores * there).sum(axis=1) / there.sum(axis=1)
    return shares


def _within(lengths: Array, steps: int) -> Array:
    """Whether each of `steps` belongs to its sample: [N, steps]."""
    there: Array = np.arange(steps) < lengths[:, None]
    return there


def _seen(rows: Array, output: JudgedOutput) -> Array:
    """The rows [class, score, left, top, right, bottom] whose score is high enough, the highest first."""
    there = rows[(rows[:, 0] >= 0) & (rows[:, 1] > output.threshold)]
    ordered: Array = there[np.argsort(-there[:, 1], kind="stable")]
    return ordered


def _f1(ours: Array, theirs: Array) -> float:
    """F1 of the boxes. A box is found when an unused one of the same class overlaps it by half."""
    if not len(ours) and not len(theirs):
        return 1.0
    free, matched = np.ones(len(theirs), dtype=bool), 0
    for box in ours:
        overlaps = np.where(free & (theirs[:, 0] == box[0]), _overlap(box[2:6], theirs[:, 2:6]), -1.0)
        if len(overlaps) and overlaps.max() >= MIN_OVERLAP:
            free[overlaps.argmax()] = False
            matched += 1
    return 2 * matched / (len(ours) + len(theirs))


def _overlap(box: Array, others: Array) -> Array:
    """Intersection over union of one box with each of `others` [K, 4].

    For boxes without an area it is 1 when they are equal.
    """
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = sides.clip(0).prod(axis=1)
    joined = _area(box[None]) + _area(others) - shared
    equal = (others == box).all(axis=1)
    found: Array = np.where(joined > 0, shared / np.where(joined > 0, joined, 1.0), equal)
    return found


def _area(boxes: Array) -> Array:
    area: Array = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)
    return area


def _finite(values: Array) -> Array:
    finite: Array = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    return finite


def _beside(rows: Array, values: Array) -> Array:
    """`rows` [N] reshaped so that it broadcasts with `values`."""
    return rows.reshape(-1, *(1 for _ in values.shape[1:]))


def agreement(
    outputs: Outputs, labels: Array | None, baseline: Outputs, *, judged: Sequence[JudgedOutput]
) -> Array:
    """How far the answer is the FP32 model's own: [N], see `agreement`. It needs no labels."""
    scores = least(agreements(outputs, baseline, judged))
    if scores is None:
        raise MeasurementError(
            found="metric agreement, and no output that it can compare",
            required="one output at least of a known kind",
            remedy="say what an output holds in `validation.outputs`, or name a callable",
        )
    return scores


def _of(judged: Sequence[JudgedOutput]) -> RelativeMetric:
    return partial(agreement, judged=judged)


METRIC = NamedMetric(
    name=AGREEMENT, description="How far an answer is FP32's own, in every output; no labels needed.", of=_of
)
