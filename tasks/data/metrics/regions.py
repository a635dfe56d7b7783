"""Metrics for models whose output is a map of where something is, such as text.

Name them in `validation.metrics`, as `paddle_int8.tasks.data.metrics.regions:region_agreement`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from paddle_int8.tasks.contracts.arrays import Array

THRESHOLD = 0.3
"""Probability above which a pixel counts as text, as in PP-OCR's detector."""
MIN_PIXELS = 10
MIN_OVERLAP = 0.5
Box = tuple[int, int, int, int]


def region_agreement(outputs: Sequence[Array], labels: Array | None, baseline: Sequence[Array]) -> Array:
    """F1 of the regions found, where those of the FP32 model count as true: [N]. It needs no labels.

    outputs[0]: probabilities [N, 1, H, W]. A region is found when the box around one of INT8 overlaps its box
    by half (intersection over union). When neither model finds a region, the score is 1.
    """
    pairs = zip(outputs[0][:, 0], baseline[0][:, 0], strict=True)
    return np.array([_f1(regions(ours), regions(theirs)) for ours, theirs in pairs])


def regions(probabilities: Array) -> list[Box]:
    """Boxes (top, left, bottom, right) around connected pixels above the threshold.

    probabilities: [H, W]; NaN counts as below the threshold. Regions of few pixels are ignored.
    """
    with np.errstate(invalid="ignore"):
        numbered, _ = ndimage.label(probabilities > THRESHOLD)
    sizes = np.bincount(numbered.ravel())
    return [
        (rows.start, columns.start, rows.stop, columns.stop)
        for number, (rows, columns) in enumerate(ndimage.find_objects(numbered), start=1)
        if sizes[number] >= MIN_PIXELS
    ]


def _f1(ours: list[Box], theirs: list[Box]) -> float:
    if not ours and not theirs:
        return 1.0
    free, matched = list(theirs), 0
    for box in ours:
        best = max(free, key=lambda other: overlap(box, other), default=None)
        if best is not None and overlap(box, best) >= MIN_OVERLAP:
            free.remove(best)
            matched += 1
    return 2 * matched / (len(ours) + len(theirs))


def overlap(one: Box, other: Box) -> float:
    """The intersection over union of two boxes, from 0.0 to 1.0."""
    height = min(one[2], other[2]) - max(one[0], other[0])
    width = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0, height) * max(0, width)
    return shared / (_area(one) + _area(other) - shared)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
