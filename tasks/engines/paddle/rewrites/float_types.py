"""Casts programs in FP16, BF16 or FP64 to FP32, from which quantization and oneDNN's kernels start.

Isolated process only.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import paddle

from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.engines.paddle.blocks import bypass
from paddle_int8.tasks.engines.paddle.private.operators import set_attribute
from paddle_int8.tasks.engines.paddle.private.variables import find_variable, holds_numbers, set_data_type
from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import is_kept_fp32

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator, Variable

FP32, FP64 = paddle.float32, paddle.float64
OTHERS = {paddle.float16: "FP16", paddle.bfloat16: "BF16", FP64: "FP64"}
TYPE_ATTRIBUTES = ("dtype", "in_dtype", "out_dtype")
REINTERPRETING = "view_dtype"
"""The operator that reads a number's bits as those of another type."""
BF16_SHIFT = 16
"""A BF16 number is the upper half of an FP32 number."""

logger = logging.getLogger(__name__)


def other_float_types(loaded: LoadedProgram) -> tuple[str, ...]:
    """Names of the floating-point types other than FP32 that variables of `loaded` have."""
    return tuple(sorted({OTHERS[variable.dtype] for variable in _others(loaded)}))


def cast_to_fp32(loaded: LoadedProgram) -> int:
    """Makes every FP16, BF16 and FP64 variable FP32: parameters, activations, inputs and outputs.

    Variables that `native_kernels` put into FP64 stay in it. Casts that have no effect any more are removed.
    Returns how many variables there were.
    Raises: ModelFormatError for a parameter that FP32 cannot hold, or an operator that reads bits.
    """
    variables = list(_others(loaded))
    if not variables:
        return 0
    counts = Counter(OTHERS[variable.dtype] for variable in variables)
    _require_castable(loaded, sorted(counts))
    for variable in variables:
        if variable.persistable and (stored := loaded.scope.find_var(variable.name)) is not None:
            values = _as_fp32(np.array(stored.get_tensor()), variable)
            stored.get_tensor().set(values, paddle.CPUPlace())
        set_data_type(variable, FP32)
    for block in loaded.program.blocks:
        double = _kept(block)
        for op in block.ops:
            if double.isdisjoint(op.input_arg_names + op.output_arg_names):
                _retype(op)
    removed = _remove_identities(loaded)
    logger.info("cast to FP32: %s; %d casts removed", dict(counts), removed)
    return len(variables)


def _others(loaded: LoadedProgram) -> Iterator[Variable]:
    for block in loaded.program.blocks:
        double = _kept(block)
        for variable in block.vars.values():
            if holds_numbers(variable) and variable.dtype in OTHERS and variable.name not in double:
                yield variable


def _kept(block: Block) -> set[str]:
    """Variables that `native_kernels` put into FP64, so that Paddle's own kernels compute with them."""
    return {
        name
        for op in block.ops
        if is_kept_fp32(op)
        for name in op.input_arg_names + op.output_arg_names
        if (variable := find_variable(block, name)) is not None and variable.dtype == FP64
    }


def _require_castable(loaded: LoadedProgram, types: list[str]) -> None:
    if any(op.type == REINTERPRETING for block in loaded.program.blocks for op in block.ops):
        raise ModelFormatError(
            found=f"a model in {', '.join(types)} with the operator {REINTERPRETING}, which reads a number's "
            "bits as another type's",
            required="a model in FP32, or one that can be cast to it",
            remedy="export the model in FP32: call `network.float()` before `paddle.jit.save`",
        )


def _as_fp32(values: Array, variable: Variable) -> Array:
    """`values` in FP32; Paddle hands BF16 out as uint16.

    Raises: ModelFormatError when FP32 cannot hold them.
    """
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << BF16_SHIFT).view(np.float32)
    with np.errstate(over="ignore"):
        cast = values.astype(np.float32)
    if (np.isfinite(values) & ~np.isfinite(cast)).any():
        raise ModelFormatError(
            found=f"parameter {variable.name} of {OTHERS[variable.dtype]} with values up to "
            f"{np.abs(values[np.isfinite(values)]).max():.3g}",
            required=f"values that FP32 holds, up to {np.finfo(np.float32).max:.3g}",
            remedy="train or scale the model so that its parameters fit into FP32",
        )
    return cast


def _retype(op: Operator) -> None:
    for name in TYPE_ATTRIBUTES:
        if op.has_attr(name) and op.attr(name) in [int(each) for each in OTHERS]:
            set_attribute(op, name, int(FP32))
    if op.type == "assign_value" and op.has_attr("fp64_values") and op.attr("fp64_values"):
        set_attribute(op, "fp32_values", list(op.attr("fp64_values")))


def _remove_identities(loaded: LoadedProgram) -> int:
    """Removes casts from a type to itself from the main block; returns how many there were."""
    block, *bodies = loaded.program.blocks
    inside = {name for body in bodies for op in body.ops for name in op.input_arg_names + op.output_arg_names}
    written = Counter(name for op in block.ops for name in set(op.output_arg_names))
    return sum(
        bypass(block, op)
        for op in [
            op for op in block.ops if op.type == "cast" and op.attr("in_dtype") == op.attr("out_dtype")
        ]
        if inside.isdisjoint(op.input_arg_names + op.output_arg_names)
        and all(written[name] <= 1 for name in op.input_arg_names + op.output_arg_names)
    )
