"""The activation threshold with the least Kullback-Leibler divergence, in closed form.

PaddleSlim's `cal_kl_threshold` rebuilds the clipped and the quantized distribution for each of about a
thousand thresholds in pure Python. Prefix sums give every divergence at once; the few thresholds that
rounding cannot tell apart are then evaluated in PaddleSlim's own order of summation, so that the chosen
threshold equals PaddleSlim's bit for bit.

Source: Migacz, "8-bit inference with TensorRT", GTC 2017; paddle/static/quantization/cal_kl_threshold.py.
"""

from __future__ import annotations

import math

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array


def kl_threshold(hist: Array, bin_width: float, bits: int) -> float:
    """The clipping threshold of a histogram of magnitudes.

    hist: int [bins], counts of equal bins of width `bin_width`. Thresholds from half of the bins upwards
    whose last bin is not empty are compared; when there is none, the threshold is in the last bin in use.
    Raises: ValueError when `hist` has fewer than four bins.
    """
    if hist.ndim != 1 or hist.size < 4:
        raise ValueError(f"a histogram of at least 4 bins, not of shape {hist.shape}")
    first = int((hist.size - 1) * 0.5)
    lengths = first + np.flatnonzero(hist[first - 1 : -1])
    if lengths.size:
        best = _least_divergent(hist, lengths, levels=2 ** (bits - 1) - 1)
    else:
        best = int(np.flatnonzero(hist[: first + 1]).max(initial=0))
    return float((best + 0.5) * bin_width)


def _least_divergent(hist: Array, lengths: Array, *, levels: int) -> int:
    """The shortest of the `lengths` whose divergence is least, by PaddleSlim's rounding."""
    divergence, error = _divergences(hist, lengths, levels)
    near = lengths[divergence - error <= (divergence + error).min()]
    if near.size == 1:
        return int(near[0])
    lengths_in_order: list[int] = near.tolist()
    return min(lengths_in_order, key=lambda length: _divergence_in_order(hist, length, levels))


def _divergences(hist: Array, lengths: Array, levels: int) -> tuple[Array, float]:
    """Divergence for each length, and a bound of the rounding error of this and of PaddleSlim's sums.

    With P the histogram cut at `length`, outliers added to its last bin, and Q its merger into `levels`
    groups spread evenly over the bins in use, total * KL(P|Q) splits into sums that depend only on where
    a group begins and ends. Every group but the last depends on `length // levels` alone.
    """
    total = float(hist.sum())
    counts = np.concatenate(([0], np.cumsum(hist)))
    used = np.concatenate(([0], np.cumsum(hist != 0)))
    entropy = np.concatenate(([0.0], np.cumsum(_x_log_x(hist.astype(np.float64)))))

    last_count = hist[lengths - 1] + (counts[-1] - counts[lengths])
    p_log_p = entropy[lengths - 1] + _x_log_x(last_count.astype(np.float64))

    merged = lengths // levels
    last_start = merged * (levels - 1)
    last_sum = counts[lengths] - counts[last_start]
    last_used = used[lengths] - used[last_start]
    outliers = counts[-1] - counts[lengths]
    p_log_q = (last_sum + outliers) * np.log(last_sum / last_used)
    for width in np.unique(merged):
        bounds = np.arange(levels) * width
        sums = np.diff(counts[bounds]).astype(np.float64)
        spread = _x_log_x(sums) - sums * np.log(np.maximum(np.diff(used[bounds]), 1))
        p_log_q[merged == width] += spread.sum()

    divergence = (p_log_p - p_log_q) / total + np.log(counts[lengths] / total)
    error = 8 * hist.size * np.finfo(np.float64).eps * (1 + 2 * math.log(total))
    return divergence, float(error)


def _divergence_in_order(hist: Array, length: int, levels: int) -> float:
    """One divergence, added up left to right with `math.log`, as PaddleSlim rounds it."""
    kept = hist[:length].tolist()
    total = int(hist.sum())
    reference = [*kept[:-1], kept[-1] + total - sum(kept)]
    width = length // levels
    spread: list[float] = []
    for group in range(levels):
        end = length if group == levels - 1 else (group + 1) * width
        members = kept[group * width : end]
        used = len(members) - members.count(0)
        mean = sum(members) / used if used else 0
        spread.extend(mean if count else 0 for count in members)
    mass = sum(spread)
    p_log_p = p_log_q = 0.0
    for p, q in zip(reference, spread, strict=True):
        if p:
            p_log_p += p * math.log(mass * p)
            p_log_q += p * math.log(total * q)
    return (p_log_p - p_log_q) / total


def _x_log_x(values: Array) -> Array:
    """x log x for each of `values`, with 0 for 0."""
    product: Array = values * np.log(np.maximum(values, 1.0))
    return product
