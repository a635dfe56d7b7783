"""Estimates the slope of a noisy series, with its confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import mean

from scipy import stats

BINS = 12
"""How many stretches the series is cut into. Neighbouring observations are correlated; the means of a few
long stretches hardly are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Growth for one step of x, with its two-sided 95 % confidence interval; infinite for few points."""

    per_step: float
    lower: float
    upper: float


def trend(points: Sequence[tuple[float, float]]) -> Trend:
    """The trend of points (x, y) in the order of x.

    A line is fitted by least squares through the means of `BINS` stretches with equal numbers of points.
    """
    size = max(1, len(points) // BINS)
    stretches = [points[start : start + size] for start in range(0, len(points) - size + 1, size)]
    means = [(mean(x for x, _ in each), mean(y for _, y in each)) for each in stretches]
    if len(means) < 3 or means[0][0] == means[-1][0]:
        return Trend(per_step=0.0, lower=-inf, upper=inf)
    fitted = stats.linregress([x for x, _ in means], [y for _, y in means])
    margin = float(stats.t.ppf(0.975, len(means) - 2)) * float(fitted.stderr)
    slope = float(fitted.slope)
    return Trend(per_step=slope, lower=slope - margin, upper=slope + margin)
