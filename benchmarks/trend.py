"""The slope of a noisy series, and how sure one can be of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import mean

from scipy import stats

BINS = 12
"""Neighbouring observations resemble each other; the means of a few stretches hardly do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Growth by one step of x, with its two-sided 95 % confidence interval; infinite where points are few."""

    per_step: float
    lower: float
    upper: float


def trend(points: Sequence[tuple[float, float]]) -> Trend:
    """Of (x, y) in the order of x: least squares through the means of `BINS` stretches of equal count."""
    size = max(1, len(points) // BINS)
    stretches = [points[start : start + size] for start in range(0, len(points) - size + 1, size)]
    means = [(mean(x for x, _ in each), mean(y for _, y in each)) for each in stretches]
    if len(means) < 3 or means[0][0] == means[-1][0]:
        return Trend(per_step=0.0, lower=-inf, upper=inf)
    fitted = stats.linregress([x for x, _ in means], [y for _, y in means])
    margin = float(stats.t.ppf(0.975, len(means) - 2)) * float(fitted.stderr)
    slope = float(fitted.slope)
    return Trend(per_step=slope, lower=slope - margin, upper=slope + margin)
