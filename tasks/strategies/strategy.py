"""What a strategy is: it says which candidates to try next, given all that were tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.verdict import Attempt


class Search(Protocol):
    """One release's search."""

    def next_candidates(self, tried: Sequence[Attempt]) -> tuple[Candidate, ...]:
        """Those to build and measure next; an empty answer ends the search.

        tried: every candidate so far, in order, with its evidence and verdict, or with its failure.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """The record of a strategy. `start` begins a search within what a configuration allows."""

    name: str
    description: str
    start: Callable[[QuantizationConfig], Search]
