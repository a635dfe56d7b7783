"""Makes an inference program trainable again: what the export took away is put back.

Imports Paddle, so only functions of the isolated process import this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import paddle

from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS
from paddle_int8.tasks.engines.paddle.private.operators import (
    declared_outputs,
    remove_operator,
    set_attribute,
    set_output,
)
from paddle_int8.tasks.engines.paddle.private.variables import is_dense, make_parameter

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, Operator, Program, Variable

STATISTICS = ("Mean", "Variance")
BATCH_NORM_OUTPUTS = ("SavedMean", "SavedVariance", "ReserveSpace")


def make_trainable(program: Program, *, freeze_batch_norm: bool) -> list[Variable]:
    """Turns weights into parameters and operators into their training form, in place; returns the parameters.

    freeze_batch_norm: BatchNorm keeps the statistics that it was exported with; its scale and shift are
        trained.
    """
    block = program.global_block()
    for index in reversed(range(len(block.ops))):
        if block.ops[index].type in ("feed", "fetch"):
            remove_operator(block, index)
    for op in block.ops:
        _restore_outputs(block, op)
        if op.type == "batch_norm":
            set_attribute(op, "is_test", freeze_batch_norm)
            set_attribute(op, "use_global_stats", freeze_batch_norm)
        elif op.has_attr("is_test"):
            set_attribute(op, "is_test", False)
    return _parameters(block)


def use_onednn(program: Program) -> None:
    """Makes oneDNN run convolutions and their gradients, several times as fast as Paddle's own kernels."""
    for op in program.global_block().ops:
        if op.type.removesuffix("_grad") in CONVOLUTIONS:
            set_attribute(op, "use_mkldnn", True)


def _restore_outputs(block: Block, op: Operator) -> None:
    """Adds the outputs that only gradients or statistics need, which an export therefore drops."""
    for slot, intermediate in declared_outputs(op.type):
        if (intermediate or slot in BATCH_NORM_OUTPUTS) and slot not in op.output_names:
            kept = block.create_var(name=f"{op.output_arg_names[0]}.{slot}", dtype="float32")
            set_output(op, slot, [kept.name])


def _parameters(block: Block) -> list[Variable]:
    statistics = {
        name for op in block.ops if op.type == "batch_norm" for slot in STATISTICS for name in op.input(slot)
    }
    weights = [
        variable
        for name, variable in block.vars.items()
        if variable.persistable
        and is_dense(variable)
        and variable.dtype == paddle.float32
        and name not in statistics
    ]
    return [make_parameter(block, variable) for variable in weights]
