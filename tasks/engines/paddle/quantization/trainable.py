"""An inference program made trainable again: what exporting took away is put back.

Imports Paddle, so only functions of the isolated process import this module.
"""

from __future__ import annotations

from typing import Any

import paddle
from paddle.base.framework import OpProtoHolder, Parameter

from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS

STATISTICS = ("Mean", "Variance")
BATCH_NORM_OUTPUTS = ("SavedMean", "SavedVariance", "ReserveSpace")


def make_trainable(program: Any, *, freeze_batch_norm: bool) -> list[Any]:
    """Turns weights into parameters and operators into their training form, in place; returns the parameters.

    freeze_batch_norm: BatchNorm keeps the statistics that it was exported with; its scale and shift learn.
    """
    block = program.global_block()
    for index in reversed(range(len(block.ops))):
        if block.ops[index].type in ("feed", "fetch"):
            block._remove_op(index)
    for op in block.ops:
        _restore_outputs(block, op)
        if op.type == "batch_norm":
            op._set_attr("is_test", freeze_batch_norm)
            op._set_attr("use_global_stats", freeze_batch_norm)
        elif op.has_attr("is_test"):
            op._set_attr("is_test", False)
    return _parameters(block)


def use_onednn(program: Any) -> None:
    """Convolutions and their gradients run in oneDNN, several times as fast as in Paddle's own kernels."""
    for op in program.global_block().ops:
        if op.type.removesuffix("_grad") in CONVOLUTIONS:
            op._set_attr("use_mkldnn", True)


def _restore_outputs(block: Any, op: Any) -> None:
    """Outputs that only gradients or statistics need, and that exporting therefore drops."""
    for output in OpProtoHolder.instance().get_op_proto(op.type).outputs:
        needed = output.intermediate or output.name in BATCH_NORM_OUTPUTS
        if needed and output.name not in op.output_names:
            kept = block.create_var(name=f"{op.output_arg_names[0]}.{output.name}", dtype="float32")
            op.desc.set_output(output.name, [kept.name])


def _parameters(block: Any) -> list[Any]:
    statistics = {
        name for op in block.ops if op.type == "batch_norm" for slot in STATISTICS for name in op.input(slot)
    }
    weights = {
        name: variable
        for name, variable in block.vars.items()
        if variable.persistable
        and variable.type == paddle.base.core.VarDesc.VarType.LOD_TENSOR
        and variable.dtype == paddle.float32
        and name not in statistics
    }
    for name, variable in weights.items():
        block.vars[name] = Parameter(
            block, shape=list(variable.shape), dtype=variable.dtype, name=name, trainable=True
        )
    return [block.vars[name] for name in weights]
