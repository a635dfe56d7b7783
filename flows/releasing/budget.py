"""How much a search may still try."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from prefect import get_run_logger

from paddle_int8.tasks.config.quantization import SearchConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.verdict import Attempt

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of `quantization.search`, and when the search began."""

    limits: SearchConfig
    began: float = field(default_factory=time.monotonic)

    def allowed(self, asked: tuple[Candidate, ...], tried: Sequence[Attempt]) -> tuple[Candidate, ...]:
        """The first of `asked` that may still be tried. It says in the log what is left out, and why."""
        most, minutes = self.limits.candidates, self.limits.minutes
        late = minutes is not None and bool(tried) and time.monotonic() - self.began > MINUTE_S * minutes
        allowed = () if late else asked if most is None else asked[: max(0, most - len(tried))]
        if len(allowed) < len(asked):
            spent = f"{minutes:g} minutes" if late else f"{most} candidates"
            get_run_logger().warning(
                f"the search has used up its {spent} of `quantization.search`; it leaves out "
                f"{', '.join(each.name for each in asked[len(allowed) :])}"
            )
        return allowed
