"""What an algorithm is: how the scales of one candidate are found, and what is done to the model before.

A file of this folder holds one record, and imports no Paddle: only what runs in the isolated process does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.vocabulary import Observed
from paddle_int8.tasks.engines.paddle.quantization.preparation import (
    Histogram,
    Magnitudes,
    Prepare,
    PrepareRequest,
)
from paddle_int8.tasks.engines.paddle.quantization.seen import Seen, Threshold

__all__ = [
    "Algorithm",
    "Histogram",
    "Magnitudes",
    "Observed",
    "Prepare",
    "PrepareRequest",
    "Seen",
    "Threshold",
]

HIST = "hist"
MAGNITUDES = frozenset({Observed.MAGNITUDES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """The record of an algorithm.

    slim: PaddleSlim's own algorithm that finds the same thresholds, by its name there. An algorithm without
        a rule of its own uses that one's.
    threshold: the threshold of a tensor from all that the calibration saw of it.
    observes: what the calibration must see for that.
    histogram: the threshold of a tensor from the histogram of its magnitudes, in the place of PaddleSlim's
        rule; `slim` is "hist" then.
    magnitudes: the threshold of a tensor from its magnitudes, batch by batch, as the layout `recurrent` asks
        for it; None where the algorithm has no such rule.
    prepare: changes the FP32 model before it is quantized; a function at the top of a module, which runs in
        the isolated process. None leaves the model as it is.
    needs_training: whether the model is first trained further with its rounding simulated, as the section
        `quantization.qat` says.
    reads: the fields of the section `quantization` that this algorithm reads and others do not.
    sets: fields of that section, which this algorithm's candidates are made with whatever the section says.
    """

    name: str
    description: str
    slim: str | None
    threshold: Threshold | None = None
    observes: frozenset[Observed] = MAGNITUDES
    histogram: Histogram | None = None
    magnitudes: Magnitudes | None = None
    prepare: Prepare | None = None
    needs_training: bool = False
    reads: frozenset[str] = frozenset()
    sets: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.slim is None and self.threshold is None:
            raise ConfigError(
                found=f"the algorithm {self.name} without a rule for thresholds",
                required="`threshold`, or the name of PaddleSlim's algorithm in `slim`",
                remedy=f"correct the package that brings {self.name}",
            )
        if self.histogram is not None and self.slim != HIST:
            raise ConfigError(
                found=f"the algorithm {self.name} with a rule for histograms and slim={self.slim!r}",
                required=f"slim={HIST!r}, PaddleSlim's algorithm for histograms",
                remedy=f"correct the package that brings {self.name}",
            )

    @property
    def of_fp32(self) -> bool:
        """Whether it calibrates the FP32 model as it is, so that candidates can share what was observed."""
        return self.prepare is None and not self.needs_training
