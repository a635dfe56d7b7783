"""Which samples: a seeded, stratified draw, and the proof that two draws share none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.contracts.errors import DataError

Indices = npt.NDArray[np.int64]
SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnSample:
    """A sample's content, SHA-256, and what the user calls it."""

    digest: str
    name: str


def draw(labels: npt.NDArray[np.int64] | None, *, total: int, count: int | None, seed: int) -> Indices:
    """`count` of `total` indices in ascending order, the same for the same seed.

    With labels, each class gets its share by largest remainder, and at least one where `count` allows;
    chance decides between equal remainders, or a small sample would hold the lowest labels alone.
    Raises: DataError when there are fewer than `count`.
    """
    if count is None or count == total:
        return np.arange(total)
    if count > total:
        raise DataError(
            found=f"{total} samples",
            required=f"{count} samples, as configured",
            remedy="lower `data.calibration_samples` or `data.validation_samples`, or add data",
        )
    random = np.random.default_rng(seed)
    if labels is None:
        return np.sort(random.choice(total, count, replace=False))
    classes, sizes = random.permutation(np.unique(labels, return_counts=True), axis=1)
    chosen = [
        random.choice(np.flatnonzero(labels == label), share, replace=False)
        for label, share in zip(classes, shares(sizes, count), strict=True)
    ]
    indices: Indices = np.sort(np.concatenate(chosen))
    return indices


def shares(sizes: npt.NDArray[np.int64], count: int) -> Indices:
    """How many of `count` each class of `sizes` gets; sums to `count`, never more than the class has."""
    exact = sizes * count / sizes.sum()
    given = np.floor(exact).astype(np.int64)
    if count >= len(sizes):
        given = np.maximum(given, 1)
    while given.sum() < count:
        short = np.where(given < sizes, exact - given, -np.inf)
        given[np.argmax(short)] += 1
    while given.sum() > count:
        over = np.where(given > 1, given - exact, -np.inf)
        given[np.argmax(over)] -= 1
    result: Indices = given
    return result


def check_disjoint(
    seen: Iterable[DrawnSample], validation: Iterable[DrawnSample], *, use: str = "calibrated on"
) -> None:
    """Raises: DataError when content of one is in the other, naming the pairs. `use`: what `seen` was for."""
    known = {sample.digest: sample.name for sample in seen}
    shared = [(known[sample.digest], sample.name) for sample in validation if sample.digest in known]
    if shared:
        pairs = ", ".join(f"{a} = {b}" for a, b in shared[:SHOWN])
        more = f" and {len(shared) - SHOWN} more" if len(shared) > SHOWN else ""
        raise DataError(
            found=f"{len(shared)} validation samples were {use}: {pairs}{more}",
            required=f"no sample in both: accuracy on what was {use} proves nothing",
            remedy="take the two from different files or lists",
        )
