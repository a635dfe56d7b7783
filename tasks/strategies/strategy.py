"""The interface of a strategy: it says which candidates to try next, given all that were tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.verdict import Attempt


class Search(Protocol):
    """The search of one release, begun by a strategy."""

    def next_candidates(self, tried: Sequence[Attempt]) -> tuple[Candidate, ...]:
        """The candidates to build and measure next. An empty answer ends the search.

        tried: every candidate so far, in order, each with its evidence and verdict or with its failure.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """All there is to know about one strategy. `start` begins a search for a configuration."""

    name: str
    description: str
    start: Callable[[QuantizationConfig], Search]
