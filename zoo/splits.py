"""Splits of one corpus that share no sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

PRECEDENCE = ("validation", "train", "calibration")
"""What two splits have in common stays in the first of them."""

Labelled = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Samples [N, ...] and labels [N]."""


def apart(split: str, read: Callable[[str], Labelled]) -> Labelled:
    """`split`, as `read` has it, without the samples that a split of higher precedence has too.

    Texts of which two are alike, or are cut to the same tokens, would be validated on what was trained on.
    """
    rows, labels = read(split)
    others = PRECEDENCE[: PRECEDENCE.index(split)]
    known = {row.tobytes() for other in others for row in read(other)[0]}
    alone = np.array([row.tobytes() not in known for row in rows], dtype=bool)
    return rows[alone], labels[alone]
