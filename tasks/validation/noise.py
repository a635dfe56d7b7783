"""How much of an FP32 model's outputs another model keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array

SQNR_LIMIT_DB = 200.0
"""Beyond float32's own rounding; JSON has no infinity."""


@dataclass(slots=True)
class Noise:
    """Sums over batches, by output. Values that are not finite in one of the two are counted and left out.

    `ignored`: places of outputs that nobody reads.
    """

    ignored: frozenset[int] = frozenset()
    non_finite: int = 0
    baseline_non_finite: int = 0
    _powers: dict[int, tuple[float, float]] = field(default_factory=dict)
    _broken: set[int] = field(default_factory=set)

    def add(self, baseline: Sequence[Array], candidate: Sequence[Array]) -> None:
        """One batch's outputs, in model order, of equal shapes but for the ignored ones."""
        for output, (expected, found) in enumerate(zip(baseline, candidate, strict=True)):
            if output in self.ignored:
                continue
            expected, found = expected.astype(np.float64), found.astype(np.float64)
            ours, theirs = np.isfinite(found), np.isfinite(expected)
            self.non_finite += int((~ours).sum())
            self.baseline_non_finite += int((~theirs).sum())
            if not ours.all():
                self._broken.add(output)
            both = ours & theirs
            signal, noise = self._powers.get(output, (0.0, 0.0))
            signal += float(np.square(expected[both]).sum())
            noise += float(np.square(found[both] - expected[both]).sum())
            self._powers[output] = signal, noise

    @property
    def sqnr_db(self) -> float:
        """Signal to quantization noise of the output that keeps least, in decibel, within ±200.

        One figure for all would hide a small output behind a large one. Outputs that are 0 throughout say
        nothing beside others.
        """
        places = [place for place, power in self._powers.items() if power[0] > 0] or list(self._powers)
        return min((self._db(place) for place in places), default=SQNR_LIMIT_DB)

    def by_output_db(self, outputs: int) -> tuple[float | None, ...]:
        """The same of each of the model's outputs, in its order.

        None for an ignored one, and where FP32 is 0 throughout but INT8 is not.
        """
        return tuple(
            self._db(place) if place in self._powers and not self._is_silent(place) else None
            for place in range(outputs)
        )

    def _db(self, place: int) -> float:
        return _db(*self._powers[place], -SQNR_LIMIT_DB if place in self._broken else SQNR_LIMIT_DB)

    def _is_silent(self, place: int) -> bool:
        signal, noise = self._powers[place]
        return signal == 0.0 < noise


def _db(signal: float, noise: float, limit: float) -> float:
    if noise == 0.0:
        return limit
    if signal == 0.0:
        return -SQNR_LIMIT_DB
    return max(-SQNR_LIMIT_DB, min(SQNR_LIMIT_DB, 10 * math.log10(signal / noise)))
