"""In which order operators are worth keeping in FP32: those first that remove most noise for what they cost.

Noises of different operators are nearly independent, so that their powers add up. The order by noise removed
per millisecond lost is that of the greedy solution of the knapsack problem (Dantzig 1957), whose prefixes are
the best choices for their cost when no single operator is large.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from paddle_int8.tasks.contracts.sensitivity import OperatorSensitivity

LEAST_SHARE = 0.01
"""An operator counts as saving at least this share of the median saving: timings of less are noise."""


def by_worth(operators: Sequence[OperatorSensitivity]) -> tuple[OperatorSensitivity, ...]:
    """`operators`, the one first that is most worth keeping in FP32.

    Without milliseconds, they are ordered by their noise alone. Where those of some operators are unknown,
    these count as saving what the median one saves.
    """
    known = [each.saved_ms for each in operators if each.saved_ms is not None]
    usual = statistics.median(known) if known else 1.0
    least = LEAST_SHARE * abs(usual) or 1.0

    def worth(each: OperatorSensitivity) -> float:
        saved = usual if each.saved_ms is None else each.saved_ms
        return each.noise / max(saved, least)

    return tuple(sorted(operators, key=lambda each: -worth(each)))


def trimmed(kept: Sequence[OperatorSensitivity]) -> tuple[OperatorSensitivity, ...]:
    """The shortest choice that removes more noise than `kept` without its last operator.

    `kept` is enough, and without its last operator it is not. So operators whose noises together are less
    than that of the last one may be superfluous: they came first because they cost little.
    """
    *before, last = kept
    left, dropped = last.noise, set()
    for each in sorted(before, key=lambda each: each.noise):
        if each.noise < left:
            left -= each.noise
            dropped.add(each.tensor)
    return tuple(each for each in kept if each.tensor not in dropped)
