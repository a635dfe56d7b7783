"""How sure the bounds of several candidates must each be, so that all of them hold together.

Example: six candidates are compared on the same samples, and a release takes the fastest approved one. If
each were tested with an error of 5 %, a wrong one would be approved in up to a quarter of releases. Each
bound must therefore err more rarely: with 0.9 % when the candidates err on different samples, but still
with 5 % when they all err on the same samples, since six equal candidates are one.

The bound of one candidate is a quantile of its drop when each sample stands for an unknown share of the
population (`tasks.validation.statistics`). These shares are the same for all candidates, so their drops are
correlated, exactly as the paired differences on the samples are:

    cov(drop_j, drop_k) = (mean(d_j d_k) - mean(d_j) mean(d_k)) / (N + 2)

where d_k are the N differences of candidate k and, as in its bound, one unseen sample that is as bad as a
sample can be. The joint distribution is taken as that of correlated normal deviates, and the level is the
one at which the chance that any drop exceeds its bound is the allowed error.

Sources: Westfall and Young 1993, "Resampling-Based Multiple Testing" (the joint distribution of p-values
replaces Bonferroni's inequality); Hothorn, Bretz and Westfall 2008, doi:10.1002/bimj.200810425 (correlated
normal deviates in place of resampling).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DRAWS = 50_000
"""An error of 5 % is met within 0.1 points (one standard deviation), in either direction."""


def correlation(differences: Sequence[Array | None], worst: Sequence[float]) -> Array:
    """The correlations of the drops of several tests: [tests, tests].

    differences: baseline minus candidate on each sample, [N] for each test, in the same order of samples.
    None where they are unknown: such a test counts as independent of all others, as does one on other
    samples.
    worst: the difference of the unseen sample of each test.
    """
    found = np.eye(len(differences))
    sizes = [-1 if each is None else len(each) for each in differences]
    for size in set(sizes) - {-1}:
        places = [place for place, each in enumerate(sizes) if each == size]
        rows = np.array([differences[place] for place in places], dtype=np.float64)
        unseen = np.array([worst[place] for place in places])
        found[np.ix_(places, places)] = correlation_of_sums(
            rows @ rows.T, rows.sum(axis=1), size, worst=unseen
        )
    return found


def correlation_of_sums(products: Array, sums: Array, samples: int, *, worst: Array) -> Array:
    """The same, of sums over the samples.

    products: [tests, tests], of the products of two differences; sums: [tests], of the differences; worst:
    [tests].
    """
    means = (sums + worst) / (samples + 1)
    covariances = (products + np.outer(worst, worst)) / (samples + 1) - np.outer(means, means)
    deviations = np.sqrt(np.diag(covariances).clip(min=0))
    scale = np.outer(deviations, deviations)
    found: Array = np.divide(covariances, scale, out=np.zeros_like(covariances), where=scale > 0)
    np.fill_diagonal(found, 1.0)
    return found


def joint_deviates(correlations: Array, *, draws: int = DRAWS) -> Array:
    """Standard normal deviates with these correlations, which may be singular: [draws, tests]."""
    values, vectors = np.linalg.eigh(correlations)
    root = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    deviates: Array = _independent_deviates(draws, len(correlations)) @ root
    return deviates


def joint_error(deviates: Array, groups: Sequence[Sequence[int]], *, error: float) -> float:
    """How often the bound of each candidate may err, so that any errs with at most `error`.

    deviates: [draws, tests], of `joint_deviates`.
    groups: the tests of each candidate. A candidate is approved only when all its tests approve, so one of
    them, the one that it truly fails, must err for a false approval. Which one that is nobody knows; the
    tests that overlap least are taken.
    Returns a number from error / len(groups), when no two err together, to `error`, when all do.
    """
    groups = [group for group in groups if group]
    if len(groups) <= 1:
        return error
    allowed = max(1, math.floor(error * len(deviates) * (1 + 1e-9)))
    chosen = [group[0] for group in groups if len(group) == 1]
    highest = deviates[:, chosen].max(axis=1, initial=-np.inf)
    for group in (group for group in groups if len(group) > 1):
        options = {test: np.maximum(highest, deviates[:, test]) for test in group}
        widest = max((_limit(values, allowed), test) for test, values in options.items())[1]
        highest = options[widest]
        chosen.append(widest)
    beyond = deviates[:, chosen] >= _limit(highest, allowed)
    return min(error, max(error / len(groups), float(beyond.mean())))


def step_down(
    deviates: Array,
    groups: Sequence[Sequence[int]],
    passes: Callable[[int, float], bool],
    *,
    error: float,
) -> list[float]:
    """The error that the test of each candidate is allowed, so that any of them errs with at most `error`.

    Candidates that pass with the error that all share are right, so they leave the family, and the others
    share the error anew, among fewer: a candidate that is right beyond doubt costs the others nothing.
    passes: whether all tests of a candidate, given by its place in `groups`, pass with an error.
    Source: Romano and Wolf 2005, doi:10.1198/016214504000000539.
    """
    allowed = [error] * len(groups)
    pending = [place for place, group in enumerate(groups) if group]
    while pending:
        shared = joint_error(deviates, [groups[place] for place in pending], error=error)
        passed = [place for place in pending if passes(place, shared)]
        for place in pending:
            allowed[place] = shared
        pending = [place for place in pending if place not in passed] if passed else []
    return allowed


def _limit(values: Array, allowed: int) -> float:
    """The value that `allowed` of `values` reach or exceed."""
    return float(np.partition(values, len(values) - allowed)[len(values) - allowed])


@lru_cache(maxsize=1)
def _independent_deviates(draws: int, tests: int) -> Array:
    """Independent standard normal deviates, the same in every call: [draws, tests]."""
    return np.random.default_rng(0).standard_normal((draws, tests))
