"""Gives weights oneDNN's memory layout when a model is loaded, instead of at each inference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.private.operators import insert_operator, rename_input
from paddle_int8.tasks.engines.paddle.rewrites.signs import LAYERS

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Operator, Program, Variable

LAID_OUT = "lay_out_weights"
IDENTITY = {"scale": 1.0, "bias": 0.0, "bias_after_scale": True, "use_mkldnn": True}
LARGEST_BYTES = 4 << 20
"""The largest weight that is laid out, and so is in memory twice. For a larger one, the time that is saved is
small beside the time of its computation."""


def lay_out_weights(program: Program) -> int:
    """Puts an operator of oneDNN that changes no value behind each weight; returns how many there are.

    Loaded weights have the plain memory layout. At each inference Paddle's executor notices that again, makes
    a scope and a tensor in oneDNN's memory layout for each weight, and takes a slower path for the operator
    that reads it. The operator that is added here writes oneDNN's memory layout, and the predictor's
    `constant_folding_pass` runs it once, when the model is loaded.
    Only weights of layers are treated: other operators may write the tensor that they read, as BatchNorm does
    with its statistics.
    Source: `PrepareData` of operator.cc and `NeedTransformLayout` of data_layout_transform.h, Paddle 2.6.
    """
    block = program.global_block()
    readers = [op for op in block.ops if op.type in LAYERS and _of_onednn(op)]
    names = dict.fromkeys(
        name for op in readers for name in op.input_arg_names if _is_weight(block.var(name))
    )
    inputs = sum(op.type == "feed" for op in block.ops)
    for name in names:
        weight = block.var(name)
        laid_out = block.create_var(name=f"{name}.onednn", shape=weight.shape, dtype=weight.dtype)
        for op in readers:
            rename_input(op, name, laid_out.name)
        insert_operator(
            block, inputs, type="scale", inputs={"X": [weight]}, outputs={"Out": [laid_out]}, attrs=IDENTITY
        )
    return len(names)


def _of_onednn(op: Operator) -> bool:
    return bool(op.has_attr("use_mkldnn") and op.attr("use_mkldnn"))


def _is_weight(variable: Variable) -> bool:
    import paddle

    if not variable.persistable or variable.dtype != paddle.float32 or not variable.shape:
        return False
    return bool(4 * math.prod(variable.shape) <= LARGEST_BYTES)
