"""Draws samples at random, each class in proportion, and checks that two draws share no sample."""

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
    """A drawn sample: the SHA-256 of its content, and the name by which the user knows it."""

    digest: str
    name: str


def draw(labels: npt.NDArray[np.int64] | None, *, total: int, count: int | None, seed: int) -> Indices:
    """Draws `count` of `total` indices, which are returned in ascending order; equal seeds draw the same.

    With labels, each class gets its share by the method of largest remainders, and at least one sample where
    `count` allows. Chance decides between equal remainders; otherwise a small draw would always favour the
    lowest labels.
    Raises: DataError when `total` is less than `count`.
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
    """How many of `count` samples each class gets, by the classes' `sizes`.

    The shares add up to `count`, and no class gets more samples than it has.
    """
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
    """Checks that no validation sample has the content of a sample in `seen`.

    use: what the samples in `seen` were used for, in the words of the message.
    Raises: DataError, with the pairs of names, when some have.
    """
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
