"""What quantizing each operator by itself does to a model's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.keys import Incidental


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorInput:
    """An activation that a quantized operator reads, over the samples that were looked at.

    threshold: the greatest magnitude that its INT8 scale reaches.
    greatest: the greatest magnitude found.
    clipped_share: the share of values beyond the threshold.
    channel_spread: the greatest magnitude of the widest channel over that of the median channel; None where
    the tensor has no channels.
    terms_spread: for a sum of two activations, the greatest magnitude of the wider one over that of the
    other; None for any other tensor.
    saturated_share: the share of sums of two neighbouring products that 16 bits cannot hold, which CPUs
    without VNNI have; None for what is no convolution or product with a stored weight.
    """

    tensor: str
    threshold: float
    greatest: float
    clipped_share: float
    channel_spread: float | None
    terms_spread: float | None
    saturated_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSensitivity:
    """One operator, quantized while all others stay FP32.

    layer, type, tensor: the layer's name in the user's network, the operator's type and its output tensor.
    output_sqnr_db: the signal-to-quantization-noise ratio of the model's worst output.
    own_sqnr_db: that of the operator's own output.
    noise_share: its share of the noise that all operators add to that output one by one.
    fp32_ms, int8_ms: how long oneDNN computes it for one batch in the FP32 baseline and in the candidate;
    None where that was not measured, or no primitive can be told to be this operator.
    """

    layer: str
    type: str
    tensor: str
    output_sqnr_db: float
    own_sqnr_db: float
    noise_share: float
    inputs: tuple[OperatorInput, ...]
    reason: str
    fp32_ms: float | None = None
    int8_ms: float | None = None

    @property
    def noise(self) -> float:
        """The noise that it adds to the model's worst output, in units of that output's signal."""
        return float(10 ** (-self.output_sqnr_db / 10))

    @property
    def saved_ms(self) -> float | None:
        """How much faster INT8 computes it than FP32."""
        return None if self.fp32_ms is None or self.int8_ms is None else self.fp32_ms - self.int8_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """The operators of a quantized candidate in the order of the program.

    together_db: the SQNR of the model's worst output when all of them are quantized.
    added_db: the same, predicted from the sum of what each adds alone.
    """

    candidate: Candidate
    samples: int
    together_db: float
    added_db: float
    operators: tuple[OperatorSensitivity, ...]
    seconds: Incidental[float]
    log: Incidental[Path]

    def timed(self, times: Mapping[str, tuple[float, float]]) -> Sensitivity:
        """The same with milliseconds in FP32 and in INT8, by the operator's output tensor."""
        operators = (
            replace(each, fp32_ms=times[each.tensor][0], int8_ms=times[each.tensor][1])
            if each.tensor in times
            else each
            for each in self.operators
        )
        return replace(self, operators=tuple(operators))

    def worst_first(self) -> tuple[OperatorSensitivity, ...]:
        return tuple(sorted(self.operators, key=lambda each: each.output_sqnr_db))
