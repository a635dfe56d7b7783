"""A strategy of another package: the grid, then its points again with their first operator in FP32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.verdict import Attempt, Judged
from paddle_int8.tasks.strategies.grid import GridSearch
from paddle_int8.tasks.strategies.strategy import Bench, Strategy


@dataclass(frozen=True, slots=True)
class FirstKept:
    """Every point of the grid, then each that was measured with its first quantized operator kept FP32."""

    grid: GridSearch

    def next_candidates(self, tried: Sequence[Attempt]) -> tuple[Candidate, ...]:
        if (asked := self.grid.next_candidates(tried)) or any(each.candidate.overrides for each in tried):
            return asked
        return tuple(
            replace(each.candidate, overrides=((each.quantized.operators[0], "fp32"),))
            for each in tried
            if isinstance(each, Judged)
        )


def start(config: QuantizationConfig, _bench: Bench) -> FirstKept:
    return FirstKept(GridSearch(config.candidates()))


STRATEGY = Strategy(
    name="first_kept",
    description="The grid, then its points with the first operator in FP32.",
    start=start,
    learns=False,
)
LEARNING = replace(STRATEGY, name="first_kept_learning", learns=True)
"""The same candidates, from a strategy that might choose them by their verdicts."""
