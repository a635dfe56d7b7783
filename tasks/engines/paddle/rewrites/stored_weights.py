"""Rewrites that give each layer a stored weight of its own, in the shape that Paddle quantizes.

They change the program, as those of `repairs` do, and also the scope that holds its parameters. Isolated
process only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.engines.paddle.blocks import position, put_parameter, remove_unread, value
from paddle_int8.tasks.engines.paddle.private.operators import remove_operator, set_attribute, set_input
from paddle_int8.tasks.engines.paddle.private.programs import ending_with
from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import CONTROL_FLOW

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

WEIGHT_SLOTS = {
    "conv2d": "Filter",
    "depthwise_conv2d": "Filter",
    "conv2d_transpose": "Filter",
    "mul": "Y",
    "matmul": "Y",
    "matmul_v2": "Y",
}
TRANSPOSED = {"matmul": "transpose_Y", "matmul_v2": "trans_y"}
NOT_CONSTANT = CONTROL_FLOW | {"dropout", "gaussian_random", "uniform_random", "randint", "randperm"}


def fold_computed_weights(loaded: LoadedProgram) -> int:
    """Stores weights that the program computes from stored ones alone.

    For example, `paddle.nn.Conv1D` exports a two-dimensional convolution whose filter is computed from the
    stored one by `unsqueeze2`, and weight normalisation computes a weight as a product. Paddle quantizes
    stored weights only, and its conversion fails on computed ones.
    """
    import paddle

    block = loaded.program.global_block()
    computed = _computed_from_stored(block)
    names = [
        name for name in dict.fromkeys(op.input(slot)[0] for op, slot in _layers(block)) if name in computed
    ]
    if not names:
        return 0
    targets = [block.var(name) for name in names]
    with paddle.static.scope_guard(loaded.scope):
        values = paddle.static.Executor(paddle.CPUPlace()).run(
            ending_with(loaded.program, targets), fetch_list=names
        )
    for name, found in zip(names, values, strict=True):
        put_parameter(loaded, name, np.asarray(found))
    for op in [op for op in block.ops if not set(names).isdisjoint(op.output_arg_names)]:
        remove_operator(block, position(block, op))
    remove_unread(block, loaded.fetches)
    return len(names)


def transpose_stored_weights(loaded: LoadedProgram) -> int:
    """product that transposes a stored matrix -> product with the transposed matrix.

    A language model that reuses its embedding as the last layer is exported like this. PaddleSlim takes the
    scales along the wrong axis of such a matrix and fails, or the product stays in FP32.
    """
    block, matched = loaded.program.global_block(), 0
    for op, slot in _layers(block):
        flag = TRANSPOSED.get(op.type, "")
        (name,) = op.input(slot)
        if flag and op.attr(flag) and block.var(name).persistable and len(block.var(name).shape) == 2:
            put_parameter(loaded, f"{name}.transposed", value(loaded, name).T)
            set_input(op, slot, [f"{name}.transposed"])
            set_attribute(op, flag, False)
            matched += 1
    if matched:
        remove_unread(block, loaded.fetches)
    return matched


def separate_shared_weights(loaded: LoadedProgram) -> int:
    """weight that several operators read -> a copy for each layer but the first.

    Paddle multiplies a weight's scales by 127 once for each layer that reads it, in place, so that all layers
    but the first are quantized to nothing. Twin networks share weights, and so do heads that run on several
    levels. If an embedding reads the matrix too, its rows would come out as integers.
    """
    block, copies = loaded.program.global_block(), 0
    taken = {name for op in block.ops if op.type not in WEIGHT_SLOTS for name in op.input_arg_names}
    for op, slot in _layers(block):
        (name,) = op.input(slot)
        if not block.var(name).persistable:
            continue
        if name in taken:
            copies += 1
            put_parameter(loaded, f"{name}.copy_{copies}", value(loaded, name))
            set_input(op, slot, [f"{name}.copy_{copies}"])
        taken.add(name)
    return copies


def _layers(block: Block) -> list[tuple[Operator, str]]:
    return [(op, WEIGHT_SLOTS[op.type]) for op in block.ops if op.type in WEIGHT_SLOTS]


def _computed_from_stored(block: Block) -> set[str]:
    """Variables that are computed from stored values alone."""
    written = {name for op in block.ops for name in _written(op)}
    known = {name for name, variable in block.vars.items() if variable.persistable} - written - {"feed"}
    computed: set[str] = set()
    for op in block.ops:
        if op.type not in NOT_CONSTANT and known.issuperset(op.input_arg_names):
            known |= _written(op)
            computed |= _written(op)
    return computed


def _written(op: Operator) -> set[str]:
    """What `op` writes and does not also read, as BatchNorm does with its statistics."""
    return set(op.output_arg_names) - set(op.input_arg_names)
