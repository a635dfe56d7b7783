"""The strategy `auto`: the grid, and where no candidate of it is approved, the strategy `mixed`."""

from __future__ import annotations

from paddle_int8.tasks.strategies import grid, mixed
from paddle_int8.tasks.strategies.strategy import Strategy

STRATEGY = Strategy(
    name="auto",
    description="The grid on all validation samples, and where no candidate of it is approved, `mixed` on a "
    "part of them. Each of the two has half of the error that the gate allows.",
    start=grid.STRATEGY.start,
    learns=False,
    then=mixed.STRATEGY.name,
)
