"""The strategy `mixed`: the grid, and where no candidate of it is right, the fewest operators in FP32.

It goes on from the most promising candidate of the grid. Its operators are ordered by the noise that they
add per millisecond that they save. The shortest prefix that makes the answers right is found by bisection,
with about log2(n) candidates for n operators. One more tries to do without what came first for its low cost.

What one candidate tells of the next is looked up in what was tried. So a release that was killed comes to
the same questions again, and finds the answers in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.sensitivity import OperatorSensitivity
from paddle_int8.tasks.contracts.verdict import Attempt, Judged
from paddle_int8.tasks.sensitivity.choice import most_promising
from paddle_int8.tasks.sensitivity.order import by_worth, trimmed
from paddle_int8.tasks.strategies.grid import GridSearch
from paddle_int8.tasks.strategies.strategy import Bench, Strategy

FP32 = "fp32"
Kept = tuple[OperatorSensitivity, ...]


@dataclass(frozen=True, slots=True)
class MixedSearch:
    """The candidates of the grid, and then mixes of the most promising one, one after another."""

    grid: GridSearch
    bench: Bench

    def next_candidates(self, tried: Sequence[Attempt]) -> tuple[Candidate, ...]:
        if asked := self.grid.next_candidates(tried):
            return asked
        usable = [
            each
            for each in tried
            if isinstance(each, Judged) and not each.candidate.overrides and self.bench.is_usable(each)
        ]
        if any(map(self.bench.is_right, usable)) or (base := most_promising(usable)) is None:
            return ()
        if (measured := self.bench.sensitivity(base)) is None:
            return ()
        right = {each.candidate: isinstance(each, Judged) and self.bench.is_right(each) for each in tried}

        def mix(kept: Kept) -> Candidate:
            return replace(base.candidate, overrides=tuple((each.tensor, FP32) for each in kept))

        wanted = next_mix(by_worth(measured.operators), lambda kept: right.get(mix(kept)))
        return () if wanted is None else (mix(wanted),)


def next_mix(operators: Kept, known: Callable[[Kept], bool | None]) -> Kept | None:
    """Which of `operators` to keep in FP32 next; None when nothing more is to be learned.

    operators: the one first that is most worth keeping. To keep none of them is known to be wrong.
    known: whether a choice gives right answers; None where it was not tried.
    """
    wrong, right = 0, len(operators)
    while right - wrong > 1:
        middle = (wrong + right) // 2
        if (found := known(operators[:middle])) is None:
            return operators[:middle]
        wrong, right = (wrong, middle) if found else (middle, right)
    if right == len(operators):  # to keep all of them is not INT8
        return None
    rest = trimmed(operators[:right])
    return rest if rest != operators[:right] and known(rest) is None else None


def _start(config: QuantizationConfig, bench: Bench) -> MixedSearch:
    return MixedSearch(GridSearch(config.candidates()), bench)


STRATEGY = Strategy(
    name="mixed",
    description="The grid, and where no candidate of it is right, the fewest operators in FP32 that make the "
    "most promising one right.",
    start=_start,
)
