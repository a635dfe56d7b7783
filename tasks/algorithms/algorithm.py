"""What an algorithm is: how the scales of one candidate are found, and what is done to the model before.

A file of this folder holds one record, and imports no Paddle: only what runs in the isolated process does.
"""

from __future__ import annotations

from dataclasses import dataclass

from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.engines.paddle.quantization.preparation import (
    Histogram,
    Magnitudes,
    Prepare,
    PrepareRequest,
)

__all__ = ["Algorithm", "Histogram", "Magnitudes", "Prepare", "PrepareRequest"]

HIST = "hist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """The record of an algorithm.

    slim: PaddleSlim's own algorithm that samples activations, by its name there.
    histogram: the threshold of a tensor from the histogram of its magnitudes, in the place of PaddleSlim's
        rule; `slim` is "hist" then, which makes the histogram.
    magnitudes: the threshold of a tensor from its magnitudes, batch by batch, as the layout `recurrent` asks
        for it; None where the algorithm has no such rule.
    prepare: changes the FP32 model before it is quantized; a function at the top of a module, which runs in
        the isolated process. None leaves the model as it is.
    needs_training: whether the model is first trained further with its rounding simulated, as the section
        `quantization.qat` says.
    reads: the fields of the section `quantization` that this algorithm reads and others do not.
    """

    name: str
    description: str
    slim: str
    histogram: Histogram | None = None
    magnitudes: Magnitudes | None = None
    prepare: Prepare | None = None
    needs_training: bool = False
    reads: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.histogram is not None and self.slim != HIST:
            raise ConfigError(
                found=f"the algorithm {self.name} with a rule for histograms and slim={self.slim!r}",
                required=f"slim={HIST!r}, for which PaddleSlim makes histograms",
                remedy=f"correct the package that brings {self.name}",
            )
