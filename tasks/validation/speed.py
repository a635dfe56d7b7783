"""The ratio of two latencies that were timed in several processes, and its confidence interval.

The timings have three levels: processes, rounds in a process, calls in a turn. What a process draws once,
such as its memory layout, changes all of its calls. So the process is the unit of the interval, and each
process counts as one number:

    d = log(median of the other model's times / median of the candidate's times)

The interval of the mean of d is Student's, with as many degrees of freedom as processes, less one. Resampling
the processes themselves would not do: the percentile bootstrap of five processes covers 84 % where it
says 95. Rounds and calls are resampled within each process, which tells how far d may be off by them alone.
The spread between processes contains that already. Where it comes out smaller all the same, by chance, it is
taken to be as large.

At last the interval is widened by what disturbed the measurement, see `allowance_log`.

Sources: Kalibera and Jones 2013, "Rigorous benchmarking in reasonable time", doi:10.1145/2491894.2464160,
for the levels and the interval; Politis and Romano 1992 for the blocks of rounds.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.contracts.evidence import Disturbance, LatencySummary, SpeedRatio
from paddle_int8.tasks.validation.statistics import paired, require_confidence

Array = NDArray[np.float64]
RESAMPLES = 200
FEWEST_PROCESSES = 2
INTERFERENCE = 1.0
"""By how much the logarithm of a ratio may be off at most when others take all of the time, beside waiting
for a CPU, which is not in the timings. See `allowance_log`."""
MOST_STOLEN = 0.99
"""A share of all of the time would widen the interval without end."""


def speed_ratio(
    other_ms: ArrayLike,
    candidate_ms: ArrayLike,
    *,
    processes: int,
    calls: int,
    confidence: float,
    disturbance: Disturbance | None = None,
    seed: int = 0,
) -> SpeedRatio:
    """The geometric mean over processes of the ratio of median latencies, and its two-sided interval.

    other_ms, candidate_ms: [processes * rounds * calls]; index i of both belongs to the same round.
    disturbance: what else the host did meanwhile; it widens the interval.
    Raises: MeasurementError for less than two processes, or when a latency is not a positive number.
    """
    before, after = paired(other_ms, candidate_ms)
    shortest = min(before.min(), after.min())
    if processes < FEWEST_PROCESSES or len(before) % (processes * calls) or shortest <= 0:
        raise MeasurementError(
            found=f"{len(before)} calls in {processes} processes, the shortest call {shortest:g} ms",
            required=f"at least {FEWEST_PROCESSES} processes with equally many turns of {calls} calls, "
            "each call longer than 0 ms",
            remedy="raise `validation.processes` or `validation.repeats`",
        )
    require_confidence(confidence)
    others, ours = (values.reshape(processes, -1, calls) for values in (before, after))
    logs = _log_ratios(others, ours)
    inner = _inner_deviation(others, ours, np.random.default_rng(seed))
    deviation = max(float(logs.std(ddof=1)), inner)
    margin = student(confidence, processes - 1) * deviation / math.sqrt(processes)
    allowance = allowance_log(disturbance) if disturbance else 0.0
    center = float(logs.mean())
    return SpeedRatio(
        ratio=math.exp(center),
        low=math.exp(center - margin - allowance),
        high=math.exp(center + margin + allowance),
        confidence=confidence,
        processes=processes,
        allowance=math.expm1(allowance),
    )


def allowance_log(found: Disturbance) -> float:
    """By how much the logarithm of a ratio may be off for what others did to the host meanwhile.

    The hypervisor stops a CPU in the middle of calls, unseen. At worst it hits every call of one model and
    none of the other's. If it takes the share s, the ratio is off by the factor 1 / (1 - s).

    What other processes, or the own quota, take is known call by call and is not in the timings. But after
    each pause the caches are filled by others, and neighbours use the same memory, the same last cache and
    the other half of a core. That slows both models down, and the one that needs more memory more. It has an
    end, unlike waiting: INTERFERENCE is what was seen at worst. Measured on MobileNet-V1, which INT8 makes
    3.76x as fast on a quiet host with AMX, over 5 processes and more:

    | taken | ratio | off by |
    |---|---|---|
    | 53 %, all of it on the other CPU | 4.15 | 0.10 |
    | 52 %, when the memory was busy too | 5.47 and 6.21 | 0.37 and 0.50 |
    | 93 to 98 % | 2.47 to 5.00 | at most 0.42 |
    """
    others = max(found.others_share, found.waited_share, found.throttled_share)
    return INTERFERENCE * others - math.log1p(-min(MOST_STOLEN, found.steal_share))


def student(confidence: float, freedom: int) -> float:
    """The quantile of Student's distribution that a two-sided interval at `confidence` reaches to."""
    return float(special.stdtrit(freedom, (1 + confidence) / 2))


def latency_summary(samples_ms: ArrayLike, *, batch_size: int) -> LatencySummary:
    """Percentiles and mean of the latencies of one batch, and samples per second at the mean latency.

    samples_ms: [repeats].
    Raises: MeasurementError when there is no latency, or one is not finite.
    """
    values, _ = paired(samples_ms, samples_ms)
    p50, p90, p99 = np.quantile(values, [0.5, 0.9, 0.99])
    mean_ms = float(values.mean())
    return LatencySummary(
        p50_ms=float(p50),
        p90_ms=float(p90),
        p99_ms=float(p99),
        mean_ms=mean_ms,
        repeats=len(values),
        throughput_per_s=1000 * batch_size / mean_ms,
    )


def _log_ratios(others: Array, ours: Array) -> Array:
    """The logarithm of the ratio of medians over the last two axes."""
    found: Array = np.log(np.median(others, axis=(-2, -1)) / np.median(ours, axis=(-2, -1)))
    return found


def _inner_deviation(others: Array, ours: Array, draw: np.random.Generator) -> float:
    """The standard deviation of one process's log ratio by its rounds and calls alone, over all processes.

    Rounds are resampled whole, both models together, in circular blocks of rounds^(1/3), since rounds that
    follow one another share the clock frequency and the host's other load; then the calls in each turn.
    others, ours: [processes, rounds, calls].
    """
    processes, rounds, calls = others.shape
    length = max(1, round(rounds ** (1 / 3)))
    starts = draw.integers(0, rounds, (RESAMPLES, processes, math.ceil(rounds / length), 1))
    places = ((starts + np.arange(length)) % rounds).reshape(RESAMPLES, processes, -1)[:, :, :rounds]
    where = (np.arange(processes)[None, :, None, None], places[..., None])
    drawn = (
        values[(*where, draw.integers(0, calls, (RESAMPLES, processes, rounds, calls)))]
        for values in (others, ours)
    )
    return float(np.sqrt(_log_ratios(*drawn).var(axis=0).mean()))
