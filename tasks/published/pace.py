"""How far a table is, and how long the rest of it will take."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean

from paddle_int8.tasks.process import progress

STEP = "published table"


@dataclass(slots=True)
class Pace:
    """How long the releases of this run took, to estimate the rest. `total` counts the releases to run."""

    total: int
    seconds: list[float] = field(default_factory=list)

    def report(self, name: str) -> None:
        """Shows that the release called `name` begins."""
        left = self.total - len(self.seconds)
        estimate = (
            f", about {max(1, round(fmean(self.seconds) * left / 60))} min left" if self.seconds else ""
        )
        progress.report(STEP, len(self.seconds), self.total, f"{name}{estimate}")
