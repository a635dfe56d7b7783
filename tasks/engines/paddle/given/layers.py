"""Finds the layers of a model that was quantized elsewhere, and says of each how it is quantized.

Isolated process only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.blocks import readers, value, writer
from paddle_int8.tasks.engines.paddle.census import QUANTIZABLE
from paddle_int8.tasks.engines.paddle.form import DEQUANTIZE, FAKE, QUANTIZE, is_int8
from paddle_int8.tasks.engines.paddle.layer_names import PARAMETER
from paddle_int8.tasks.engines.paddle.private.variables import find_variable

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

CHANNELS = "channel_wise"
"""What the types of fake-quant operators have in their names that hold one scale for each channel."""
WHOLE_TENSOR = "fake_dequantize_max_abs"
FROZEN = frozenset({WHOLE_TENSOR, "fake_channel_wise_dequantize_max_abs"})
"""Types of operators behind a layer whose weight is stored rounded. They hold the scales of both."""
LAID_OUT = "scale"
"""The type of the operator that a conversion puts between a weight and its layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedLayer:
    """One layer of a quantized program.

    name: its name in the user's network. type: its operator's type. output: the tensor that it writes.
    threshold: its input's threshold; None where the input is not quantized, or the program does not say it.
    quantized: whether its input and its weight are quantized.
    per_tensor: whether its weight has one scale for all channels.
    bits: how many bits its input and its weight are quantized to.
    """

    name: str
    type: str
    output: str
    quantized: bool
    threshold: float | None
    per_tensor: bool
    bits: frozenset[int]

    @property
    def is_calibrated(self) -> bool:
        """Whether its input has a threshold that something was calibrated to."""
        return self.threshold is None or (math.isfinite(self.threshold) and self.threshold > 0)


def quantized_layers(loaded: LoadedProgram, *, converted: bool) -> tuple[QuantizedLayer, ...]:
    """The layers of the main block, in their order.

    converted: whether the program is in a layout already. Weights may be FP32 there, and become INT8 at load.
    """
    block = loaded.program.global_block()
    return tuple(
        _layer(loaded, block, op, weight, converted=converted)
        for op in block.ops
        if op.type in QUANTIZABLE and (weight := _weight(block, op))
    )


def thresholds(loaded: LoadedProgram) -> dict[str, float]:
    """The threshold of each activation that an operator quantizes, by tensor."""
    block = loaded.program.global_block()
    return {
        op.input("X")[0]: threshold
        for op in block.ops
        if _quantizes(op) and not _is_stored(block, op.input("X")[0])
        if (threshold := _threshold(loaded, op)) is not None
    }


def _layer(
    loaded: LoadedProgram, block: Block, op: Operator, weight: str, *, converted: bool
) -> QuantizedLayer:
    sources = [source for name in op.input_arg_names if (source := writer(block, name)) is not None]
    behind = readers(block, op.output_arg_names[0])
    inputs = [each for each in sources if _on_activation(block, each)]
    behind = [each for each in behind if each.type in FROZEN]
    marks = [each for each in sources if each.type.startswith((FAKE, DEQUANTIZE))] + behind
    on_weight = [each for each in marks if each in behind or not _on_activation(block, each)]
    return QuantizedLayer(
        name=PARAMETER.sub("", weight),
        type=op.type,
        output=op.output_arg_names[0],
        quantized=bool(inputs and (on_weight or converted)) or is_int8(op),
        threshold=_threshold(loaded, inputs[0]) if inputs else None,
        per_tensor=any(_of_whole_weight(loaded, block, each) for each in marks) or _one_scale(op),
        bits=frozenset(bits for each in marks for bits in _bits(each)),
    )


def _weight(block: Block, op: Operator) -> str:
    """The stored weight that `op` multiplies with, perhaps through an operator that dequantizes it."""
    for name in op.input_arg_names:
        for stored in (name, *_sources(block, name)):
            if _is_stored(block, stored) and len(_shape(block, stored)) > 1:
                return stored
    return ""


def _sources(block: Block, name: str) -> list[str]:
    made_by = writer(block, name)
    if made_by is None or not (made_by.type == LAID_OUT or made_by.type.startswith((FAKE, DEQUANTIZE))):
        return []
    return list(made_by.input("X"))


def _on_activation(block: Block, op: Operator) -> bool:
    """Whether `op` quantizes or dequantizes an activation, in front of a layer."""
    return op.type.startswith((FAKE, DEQUANTIZE)) and not _is_stored(block, op.input("X")[0])


def _quantizes(op: Operator) -> bool:
    return op.type == QUANTIZE or (op.type.startswith(FAKE) and "InScale" in op.input_names)


def _threshold(loaded: LoadedProgram, op: Operator) -> float | None:
    """The threshold in an operator on an activation; None where it computes it anew for every input."""
    slot = "Scale" if op.type in (QUANTIZE, DEQUANTIZE) else "InScale"
    if slot not in op.input_names or not op.input(slot) or loaded.scope.find_var(op.input(slot)[0]) is None:
        return None
    return float(value(loaded, op.input(slot)[0]).ravel()[0])


def _of_whole_weight(loaded: LoadedProgram, block: Block, op: Operator) -> bool:
    """Whether `op` says that one scale holds for a whole weight."""
    if op.type == WHOLE_TENSOR:
        return True
    if not _is_stored(block, op.input("X")[0]) or CHANNELS in op.type:
        return False
    return op.type != DEQUANTIZE or value(loaded, op.input("Scale")[0]).size == 1


def _one_scale(op: Operator) -> bool:
    """Whether a converted operator has one scale for its whole weight."""
    return bool(op.has_attr("Scale_weights") and len(op.attr("Scale_weights")) == 1) and op.attr(
        "Scale_weights"
    ) != [1.0]


def _bits(op: Operator) -> Iterator[int]:
    if op.has_attr("bit_length"):
        yield op.attr("bit_length")
    if op.has_attr("quant_bits"):
        yield from op.attr("quant_bits")


def _is_stored(block: Block, name: str) -> bool:
    variable = find_variable(block, name)
    return variable is not None and variable.persistable


def _shape(block: Block, name: str) -> tuple[int, ...]:
    variable = find_variable(block, name)
    return () if variable is None else tuple(variable.shape)
