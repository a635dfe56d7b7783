"""The strategy `grid`: every algorithm in every layout, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.verdict import Attempt
from paddle_int8.tasks.strategies.strategy import Bench, Strategy


@dataclass(frozen=True, slots=True)
class GridSearch:
    """Asks for all candidates of a fixed grid that were not tried yet."""

    grid: tuple[Candidate, ...]

    def next_candidates(self, tried: Sequence[Attempt]) -> tuple[Candidate, ...]:
        done = {attempt.candidate for attempt in tried}
        return tuple(candidate for candidate in self.grid if candidate not in done)


def _start(config: QuantizationConfig, _bench: Bench) -> GridSearch:
    return GridSearch(config.candidates())


STRATEGY = Strategy(
    name="grid", description="Every algorithm in every layout, once.", start=_start, learns=False
)
