"""Keeps the splits of a corpus from sharing a sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

PRECEDENCE = ("validation", "train", "calibration")
"""The order of the splits: a sample that two of them share stays only in the one that is named first here."""

Labelled = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""The samples [N, ...] and labels [N] of a split."""


def apart(split: str, read: Callable[[str], Labelled]) -> Labelled:
    """A split without the samples that a split of higher precedence has too.

    read: returns all samples of a split by its name.
    When two texts are alike, or are cut to the same tokens, a model could otherwise be validated on samples
    that it was trained on.
    """
    rows, labels = read(split)
    others = PRECEDENCE[: PRECEDENCE.index(split)]
    known = {row.tobytes() for other in others for row in read(other)[0]}
    alone = np.array([row.tobytes() not in known for row in rows], dtype=bool)
    return rows[alone], labels[alone]
