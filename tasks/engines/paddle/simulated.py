"""A copy of an FP32 program in which chosen operators compute with rounded inputs. Isolated process only.

An operator is simulated as INT8 kernels compute it: activations are clipped to their threshold and rounded to
127 steps on either side of zero, weights likewise with the scale of their channel; the sum stays FP32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.engines.paddle.blocks import position, put_parameter, value, writer
from paddle_int8.tasks.engines.paddle.private.operators import (
    insert_operator,
    remove_operator,
    rename_input,
)
from paddle_int8.tasks.engines.paddle.private.programs import serialized
from paddle_int8.tasks.engines.paddle.private.variables import variable_of
from paddle_int8.tasks.engines.paddle.quantization.weights import LEVELS, rounded_weight

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

Scale = float | list[float]
"""The threshold of a tensor, or one for each channel of a weight."""
ROUNDED = ".rounded"


def simulated(loaded: LoadedProgram, outputs: Collection[str], scales: Mapping[str, Scale]) -> LoadedProgram:
    """A copy of `loaded`, without feed and fetch, whose operators that write `outputs` read rounded tensors.

    The copy shares the parameters' scope; rounded weights are added to it.
    """
    import paddle

    program = paddle.static.deserialize_program(serialized(loaded.program))
    copy = replace(loaded, program=program)
    block = program.global_block()
    for index in reversed(range(len(block.ops))):
        if block.ops[index].type in ("feed", "fetch"):
            remove_operator(block, index)
    for name in outputs:
        op = writer(block, name)
        assert op is not None, name
        for read in dict.fromkeys(op.input_arg_names):
            if read in scales:
                _round(copy, block, op, read, scales[read])
    return copy


def _round(loaded: LoadedProgram, block: Block, op: Operator, name: str, scale: Scale) -> None:
    rounded = name + ROUNDED
    if block.var(name).persistable:
        if not block.has_var(rounded):
            weight = value(loaded, name)
            put_parameter(loaded, rounded, _rounded_weight(weight, scale))
    elif not block.has_var(rounded):
        _round_activation(block, op, name, rounded, float(np.max(scale)))
    rename_input(op, name, rounded)


def _rounded_weight(weight: Array, scale: Scale) -> Array:
    axis = channel_axis(weight, scale)
    threshold = float(np.max(scale)) if axis is None else scale
    return rounded_weight(weight, threshold, axis=axis or 0, gram=None, keep_mean=False)


def channel_axis(weight: Array, scale: Scale) -> int | None:
    """The axis whose slices have these scales; None for one scale for all.

    A square weight fits along two axes by its number of scales. The one is taken along which the scales
    come closest to the greatest magnitudes, which is what they were calibrated from.
    """
    thresholds = np.atleast_1d(np.asarray(scale, np.float64))
    fitting = [axis for axis, size in enumerate(weight.shape) if size == thresholds.size > 1]
    if not fitting:
        return None
    return min(fitting, key=lambda axis: float(np.abs(_greatest(weight, axis) - thresholds).sum()))


def _greatest(weight: Array, axis: int) -> Array:
    others = tuple(other for other in range(weight.ndim) if other != axis)
    greatest: Array = np.abs(weight).max(axis=others)
    return greatest


def _round_activation(block: Block, op: Operator, name: str, rounded: str, threshold: float) -> None:
    """Inserts clip -> scale -> round -> scale in front of `op`."""
    shape, step = variable_of(block, name).shape, max(threshold, 1e-8) / LEVELS
    chain = [name, *(f"{name}.{part}" for part in ("clipped", "steps", "integers")), rounded]
    for made in chain[1:]:
        block.create_var(name=made, shape=shape, dtype=variable_of(block, name).dtype)
    kinds = (
        ("clip", {"min": -threshold, "max": threshold}),
        ("scale", {"scale": 1 / step, "bias": 0.0, "bias_after_scale": True}),
        ("round", {}),
        ("scale", {"scale": step, "bias": 0.0, "bias_after_scale": True}),
    )
    for (kind, attributes), source, target in zip(kinds, chain, chain[1:], strict=False):
        insert_operator(
            block,
            position(block, op),
            type=kind,
            inputs={"X": [source]},
            outputs={"Out": [target]},
            attrs=attributes,
        )
