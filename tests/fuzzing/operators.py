"""Every operator that the fuzzer knows: how it is built, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fuzzing import arithmetic, layers, movement, norms, pointwise, pooling, recurrence, reductions
from tests.fuzzing.draft import Draft


@dataclass(frozen=True, slots=True)
class Operator:
    """`build(parameters, *inputs, **settings)` answers a Paddle variable; `draw(draft)` adds nodes to it.

    share: how often it is drawn, beside the others' shares.
    """

    build: Callable[..., Any]
    draw: Callable[[Draft], None]
    share: int


OPERATORS: dict[str, Operator] = {
    name: Operator(*described)
    for family in (layers, norms, pointwise, arithmetic, pooling, movement, reductions, recurrence)
    for name, described in family.OPERATORS.items()
}
