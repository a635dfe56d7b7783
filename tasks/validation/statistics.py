"""Confidence bounds for an accuracy drop.

Example: INT8 and FP32 agree on all of n samples. The upper bound of the drop is then not 0 but
1 - (1 - confidence)^(1/n), the "rule of three": with 95 % confidence and 300 samples, 1 percentage point.

The bound of the mean drop has two forms of one idea. How much of the population each sample stands for is
unknown, so the samples get random weights (a Dirichlet distribution with parameter 1 each). One more sample
that nobody saw is added, as bad as a sample can be. The bound is a quantile of the weighted mean. For 0/1
outcomes there are only three kinds of sample (lost, gained, unchanged), and the quantile is computed exactly.
For graded scores it is found by drawing weights.

Sources: Fay and Lumbard 2020, doi:10.1002/sim.8829, for matched pairs (the bound here equals theirs where it
is positive); Gaffke 2005 and Learned-Miller and Thomas 2019, arXiv:1905.06208, for bounded scores; Clopper
and Pearson 1934 for the case without gains. The first two are conjectured to be valid, not proven; the tests
check them by enumeration.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.contracts.evidence import MetricEvidence

Array = NDArray[np.float64]

NORMAL_STEP = 0.25
NORMAL_LIMIT = 8.25
"""Step and range of a trapezoid rule over a standard normal distribution. Its error is below 1e-12 for
integrands that are as wide as the density."""
GRID_STEPS = 512
"""Steps from no difference to the largest one, for graded scores."""
DRAWS = 20_000
DRAWS_AT_ONCE = 1_000
MOST_SAMPLES = 10**9


def paired_drop_bounds(lost: int, gained: int, samples: int, *, confidence: float) -> tuple[float, float]:
    """One-sided lower and upper confidence bounds of p(lost) - p(gained), in percentage points.

    lost: samples that only the baseline gets right; gained: samples that only the candidate gets right. Each
    bound by itself holds with `confidence`.
    Raises: MeasurementError when the counts are impossible, or `confidence` is not within (0.5, 1).
    """
    if samples < 1 or lost < 0 or gained < 0 or lost + gained > samples:
        raise MeasurementError(
            found=f"{lost} lost and {gained} gained of {samples} samples",
            required="counts that are not negative and add up to at most the samples, of which there is one",
            remedy="give at least one validation sample, and each sample one outcome",
        )
    require_confidence(confidence)
    return (
        -100 * _upper(gained, lost, samples, confidence),
        100 * _upper(lost, gained, samples, confidence),
    )


def drop_p_value(lost: float, gained: float, samples: float, *, margin_pp: float) -> float:
    """The p-value of the test that the drop exceeds the margin.

    It is the lowest error with which the upper bound of `paired_drop_bounds` is within the margin. The counts
    need not be whole numbers.
    """
    return _tail(lost, gained, samples, margin_pp / 100)


def graded_drop_bounds(
    baseline: ArrayLike, candidate: ArrayLike, *, confidence: float, draws: int = DRAWS
) -> tuple[float, float]:
    """One-sided lower and upper confidence bounds of the mean paired drop, in percentage points.

    baseline, candidate: [N] scores of the same samples. The unseen sample differs by the range of all scores,
    and by at least 1, the range of a fraction.
    Raises: MeasurementError when the scores are empty, unpaired or not finite.
    """
    before, after = paired(baseline, candidate)
    require_confidence(confidence)
    span = max(1.0, float(max(before.max(), after.max()) - min(before.min(), after.min())))
    differences, counts = _binned(before - after, span)
    lows, highs = [], []
    draw = np.random.default_rng(0)
    for start in range(0, draws, DRAWS_AT_ONCE):
        rows = min(DRAWS_AT_ONCE, draws - start)
        weights = draw.standard_gamma(counts, size=(rows, len(counts)))
        unseen = draw.standard_exponential(rows)
        total, weighted = weights.sum(axis=1) + unseen, weights @ differences
        lows.append((weighted - unseen * span) / total)
        highs.append((weighted + unseen * span) / total)
    low = np.quantile(np.concatenate(lows), 1 - confidence, method="lower")
    high = np.quantile(np.concatenate(highs), confidence, method="higher")
    return 100 * float(low), 100 * float(high)


def metric_evidence(
    name: str, baseline_scores: ArrayLike, candidate_scores: ArrayLike, *, confidence: float
) -> MetricEvidence:
    """The mean scores of both models, their drop and the drop's bounds.

    Scores that are all 0 or 1 are counted (`paired_drop_bounds`), others are graded (`graded_drop_bounds`).
    baseline_scores, candidate_scores: [N] scores of the same samples, as fractions of 1.
    Raises: MeasurementError when the scores are empty, unpaired or not finite.
    """
    before, after = paired(baseline_scores, candidate_scores)
    lost = gained = None
    if np.isin(before, (0.0, 1.0)).all() and np.isin(after, (0.0, 1.0)).all():
        lost, gained = int((before > after).sum()), int((after > before).sum())
        drop_pp = 100 * (lost - gained) / len(before)
        low, high = paired_drop_bounds(lost, gained, len(before), confidence=confidence)
    else:
        drop_pp = 100 * float((before - after).mean())
        low, high = graded_drop_bounds(before, after, confidence=confidence)
    return MetricEvidence(
        name=name,
        samples=len(before),
        baseline=float(before.mean()),
        candidate=float(after.mean()),
        drop_pp=drop_pp,
        drop_lower_pp=low,
        drop_upper_pp=high,
        confidence=confidence,
        lost=lost,
        gained=gained,
    )


def samples_needed(metric: MetricEvidence, *, margin_pp: float) -> int | None:
    """About how many samples would bring the upper bound within the margin, if the rates stay as they are.

    Returns None when the drop itself is not below the margin, or a billion samples would not be enough.
    """
    if not metric.drop_pp < margin_pp:
        return None
    if metric.lost is None or metric.gained is None:
        ratio = (metric.drop_upper_pp - metric.drop_pp) / (margin_pp - metric.drop_pp)
        needed = math.ceil(metric.samples * max(1.0, ratio) ** 2)
        return needed if needed <= MOST_SAMPLES else None
    lost, gained = metric.lost / metric.samples, metric.gained / metric.samples

    def decides(samples: int) -> bool:
        bound = _upper(lost * samples, gained * samples, samples, metric.upper_confidence)
        return 100 * bound <= margin_pp

    enough = metric.samples
    while not decides(enough):
        enough *= 2
        if enough > MOST_SAMPLES:
            return None
    too_few = enough // 2 if enough > metric.samples else metric.samples - 1
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        enough, too_few = (middle, too_few) if decides(middle) else (enough, middle)
    return enough


def fewest_samples(margin_pp: float, *, confidence: float) -> int:
    """The fewest samples with which anything can be approved: enough if INT8 and FP32 agree on all of them.

    Example: a margin of 1 point with 95 % confidence needs 299 samples. margin_pp: within (0, 100].
    """
    return 1 if margin_pp >= 100 else math.ceil(math.log1p(-confidence) / math.log1p(-margin_pp / 100))


def _upper(lost: float, gained: float, samples: float, confidence: float) -> float:
    """Upper bound of p(lost) - p(gained), as a fraction. The counts need not be whole numbers.

    The bound is the quantile of L - G, where (L, G, rest) is Dirichlet(lost + 1, gained, rest)-distributed.
    """
    unchanged = samples - lost - gained
    if gained <= 0:
        return float(special.betaincinv(lost + 1, unchanged, confidence)) if unchanged > 0 else 1.0
    if unchanged <= 0:
        return 2 * float(special.betaincinv(lost + 1, gained, confidence)) - 1
    from scipy.optimize import brentq  # half a second that the start of a flow need not wait for

    error = 1 - confidence
    return float(brentq(lambda drop: _tail(lost, gained, samples, drop) - error, -1.0, 1.0, xtol=1e-13))


def _tail(lost: float, gained: float, samples: float, drop: float) -> float:
    """The chance that L - G exceeds `drop`, where (L, G, rest) is Dirichlet(lost + 1, gained, rest).

    The tail is integrated over that one of the three shares that varies least, since it is a smooth function
    of that one; once it is given, the two others are Beta-distributed shares of what is left.
    """
    lost, unchanged = lost + 1, samples - lost - gained
    if gained <= 0:
        return float(special.betaincc(lost, unchanged, min(1.0, max(0.0, drop)))) if unchanged > 0 else 1.0
    if unchanged <= 0:
        return float(special.betaincc(lost, gained, (1 + drop) / 2))
    fewest = min(lost, gained, unchanged)
    given = special.betaincinv(fewest, samples + 1 - fewest, NORMAL_SHARES)
    left = np.maximum(1 - given, np.finfo(float).tiny)
    if fewest == unchanged:
        tail = special.betaincc(lost, gained, np.clip((1 + drop / left) / 2, 0, 1))
    elif fewest == gained:
        tail = special.betaincc(lost, unchanged, np.clip((given + drop) / left, 0, 1))
    else:
        tail = special.betainc(gained, unchanged, np.clip((given - drop) / left, 0, 1))
    return float(NORMAL_WEIGHTS @ tail)


def _normal_nodes() -> tuple[Array, Array]:
    """Cumulative probabilities and weights of evenly spaced standard normal deviates: [nodes] each."""
    deviates = np.arange(-NORMAL_LIMIT, NORMAL_LIMIT + NORMAL_STEP / 2, NORMAL_STEP)
    density = np.exp(-np.square(deviates) / 2)
    return special.ndtr(deviates), density / density.sum()


NORMAL_SHARES, NORMAL_WEIGHTS = _normal_nodes()


def _binned(differences: Array, span: float) -> tuple[Array, Array]:
    """The used grid points within [-span, span], and how many samples each stands for.

    A sample between two points is shared between them so that the mean stays the same; this can only widen
    the bound. The grid of a span of 1 contains -1, 0 and 1.
    """
    places = np.clip((differences / span + 1) * GRID_STEPS, 0, 2 * GRID_STEPS)
    below = np.floor(places).astype(np.int64)
    above_share = places - below
    size = 2 * GRID_STEPS + 2
    counts = np.bincount(below, 1 - above_share, size) + np.bincount(below + 1, above_share, size)
    weights: Array = counts.astype(np.float64)
    grid: Array = (np.arange(size) / GRID_STEPS - 1) * span
    return grid[weights > 0], weights[weights > 0]


def paired(baseline: ArrayLike, candidate: ArrayLike) -> tuple[Array, Array]:
    """Both as arrays [N]. Raises: MeasurementError when they are empty, unpaired or not finite."""
    before, after = np.asarray(baseline, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    if before.ndim != 1 or before.shape != after.shape or before.size == 0:
        found = f"shapes {before.shape} of the baseline and {after.shape} of the candidate"
    elif not (np.isfinite(before).all() and np.isfinite(after).all()):
        found = "NaN or Inf among the values"
    else:
        return before, after
    raise MeasurementError(
        found=found,
        required="one finite value of each per sample, at least one sample",
        remedy="measure baseline and candidate on the same samples, with a metric that is always finite",
    )


def require_confidence(confidence: float) -> None:
    """Requires a confidence within (0.5, 1). Raises: MeasurementError when it is not."""
    if not 0.5 < confidence < 1:
        raise MeasurementError(
            found=f"confidence {confidence:g}",
            required="more than 0.5 and less than 1",
            remedy="set `gate.confidence`, e.g. to 0.95",
        )
