"""The interface of a strategy: it says which candidates to try next, given all that were tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.sensitivity import Sensitivity
from paddle_int8.tasks.contracts.verdict import Attempt, Judged


class Bench(Protocol):
    """What a search may ask of its release, beside what stands in the verdicts."""

    def is_usable(self, judged: Judged) -> bool:
        """Whether it is or may be fast enough: no criterion rejects it but those of its answers."""

    def is_right(self, judged: Judged) -> bool:
        """Whether its answers would pass, on the samples of the verdict, if its rates stay as they are."""

    def sensitivity(self, judged: Judged) -> Sensitivity | None:
        """What each of its quantized operators costs by itself; None where that cannot be measured."""


class Search(Protocol):
    """The search of one release, begun by a strategy."""

    def next_candidates(self, tried: Sequence[Attempt]) -> tuple[Candidate, ...]:
        """The candidates to build and measure next. An empty answer ends the search.

        tried: every candidate so far, in order, each with its evidence and verdict or with its failure.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """All there is to know about one strategy. `start` begins a search for a configuration, on a bench.

    learns: whether it chooses candidates by what was measured of others on the validation samples, such as
    their drop or their verdict. The search of such a strategy sees only a part of these samples
    (`validation.search_share`), and its best candidate is then tested on the others. A strategy that does not
    learn asks for the same candidates whatever the samples say, and all of them are tested on all samples.
    then: the name of the strategy that goes on where no candidate of this one was approved; "" for none. The
    two are two tests of one release, so that each has half of the error that the gate allows.
    """

    name: str
    description: str
    start: Callable[[QuantizationConfig, Bench], Search]
    learns: bool = True
    then: str = ""
