"""The strategy `mixed`: the grid, and where no candidate of it is right, the fewest operators out of INT8.

It goes on from the most promising candidate of the grid. Its operators are ordered by the noise that they
add per millisecond that they save. The shortest prefix that makes the answers right is found by bisection,
with about log2(n) candidates for n operators. One more tries to do without what came first for its low cost.
A last candidate takes the right mix with the fewest operators, and keeps these in BF16 instead of FP32, where
the layout and the CPU allow it.

What one candidate tells of the next is looked up in what was tried. So a release that was killed comes to
the same questions again, and finds the answers in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import BF16, FP32, Candidate
from paddle_int8.tasks.contracts.sensitivity import OperatorSensitivity
from paddle_int8.tasks.contracts.verdict import Attempt, Judged
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.hardware.levels import rank
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.sensitivity.choice import most_promising
from paddle_int8.tasks.sensitivity.order import by_worth, trimmed
from paddle_int8.tasks.strategies.grid import GridSearch
from paddle_int8.tasks.strategies.strategy import Bench, Strategy

Kept = tuple[OperatorSensitivity, ...]


@dataclass(frozen=True, slots=True)
class MixedSearch:
    """The candidates of the grid, and then mixes of the most promising one, one after another."""

    grid: GridSearch
    bench: Bench
    bf16: bool
    """Whether what is kept may run in BF16."""

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
        if wanted is not None:
            return (mix(wanted),)
        return self._in_bf16(base, right) if self.bf16 else ()

    def _in_bf16(self, base: Judged, right: Mapping[Candidate, bool]) -> tuple[Candidate, ...]:
        """The right mix that keeps fewest, with BF16 in the place of FP32. It is asked for once.

        right: whether a candidate gives right answers, for all that were tried.
        """
        mixes = [each for each, good in right.items() if good and each.overrides]
        has_bf16 = rank(base.evidence.per_isa[0].isa) >= rank(IsaLevel.AVX512_CORE_BF16)
        runs_bf16 = has_bf16 and LAYOUTS.find(base.candidate.layout).bf16_switches is not None
        if not mixes or not runs_bf16 or any(each.in_bf16 for each in right):
            return ()
        fewest = min(mixes, key=lambda each: len(each.overrides))
        return (replace(fewest, overrides=tuple((tensor, BF16) for tensor, _ in fewest.overrides)),)


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
    return MixedSearch(GridSearch(config.candidates()), bench, bf16=not config.keep_fp32)


STRATEGY = Strategy(
    name="mixed",
    description="The grid, and where no candidate of it is right, the fewest operators in FP32 that make the "
    "most promising one right.",
    start=_start,
)
