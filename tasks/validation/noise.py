"""Measures how much of an FP32 model's outputs another model keeps (SQNR)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array

SQNR_LIMIT_DB = 200.0
"""The SQNR of equal outputs. The true value is infinite, which JSON cannot express; 200 dB is beyond
float32's own rounding."""


@dataclass(slots=True)
class Noise:
    """Sums the signal and noise power of each output over all batches.

    Values that are not finite in either model are counted and left out of the sums. `ignored` holds the
    indices of the outputs that are set to `ignore`.
    """

    ignored: frozenset[int] = frozenset()
    non_finite: int = 0
    baseline_non_finite: int = 0
    _powers: dict[int, tuple[float, float]] = field(default_factory=dict)
    _broken: set[int] = field(default_factory=set)

    def add(self, baseline: Sequence[Array], candidate: Sequence[Array]) -> None:
        """Adds one batch's outputs, in the model's order. Only ignored outputs may differ in shape."""
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
        """The lowest signal-to-quantization-noise ratio of any output, in decibel, within ±200.

        One ratio over all outputs would hide a small output behind a large one. Outputs that are 0 throughout
        in FP32 count only when all outputs are.
        """
        indices = [index for index, power in self._powers.items() if power[0] > 0] or list(self._powers)
        return min((self._db(index) for index in indices), default=SQNR_LIMIT_DB)

    def by_output_db(self, outputs: int) -> tuple[float | None, ...]:
        """The ratio of each of the model's outputs, in the model's order.

        It is None for an ignored output, and for one that is 0 throughout in FP32 but not in INT8.
        """
        return tuple(
            self._db(index) if index in self._powers and not self._is_silent(index) else None
            for index in range(outputs)
        )

    def _db(self, index: int) -> float:
        return _db(*self._powers[index], -SQNR_LIMIT_DB if index in self._broken else SQNR_LIMIT_DB)

    def _is_silent(self, index: int) -> bool:
        signal, noise = self._powers[index]
        return signal == 0.0 < noise


def _db(signal: float, noise: float, limit: float) -> float:
    if noise == 0.0:
        return limit
    if signal == 0.0:
        return -SQNR_LIMIT_DB
    return max(-SQNR_LIMIT_DB, min(SQNR_LIMIT_DB, 10 * math.log10(signal / noise)))
