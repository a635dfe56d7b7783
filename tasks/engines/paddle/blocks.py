"""Finds the operators of a `paddle.static` block that write or read a variable, and changes the block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.engines.paddle.private.operators import (
    insert_operator,
    remove_operator,
    rename_input,
    set_attribute,
)
from paddle_int8.tasks.engines.paddle.private.variables import remove_variable

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator, Scope, Tensor


SKIPPED = "skip_quant"
"""PaddleSlim leaves an operator in FP32 when this word is in the operator's name scope."""


def operators(loaded: LoadedProgram, kind: str) -> list[tuple[Block, Operator]]:
    """The operators of this type in the main block, each as a pair of the block and the operator."""
    block = loaded.program.global_block()
    return [(block, op) for op in block.ops if op.type == kind]


def readers(block: Block, name: str) -> list[Operator]:
    return [op for op in block.ops if name in op.input_arg_names]


def writer(block: Block, name: str) -> Operator | None:
    """The operator that writes `name`, or None."""
    return next((op for op in block.ops if name in op.output_arg_names), None)


def hide_from_slim(op: Operator) -> None:
    """Makes PaddleSlim leave `op` in FP32."""
    set_attribute(op, "op_namescope", SKIPPED)


def is_skipped(op: Operator) -> bool:
    """Whether PaddleSlim leaves this operator in FP32, see `hide_from_slim`."""
    return bool(op.has_attr("op_namescope") and SKIPPED in op.attr("op_namescope"))


def position(block: Block, op: Operator) -> int:
    """The position of `op` among the block's operators."""
    return next(index for index, other in enumerate(block.ops) if other is op)


def scale_before(
    block: Block, op: Operator, source: str, target: str, factor: float, *, bias: float = 0.0
) -> None:
    """Inserts `target` = `source` * factor + bias in front of `op`."""
    insert_operator(
        block,
        position(block, op),
        type="scale",
        inputs={"X": [source]},
        outputs={"Out": [target]},
        attrs={"scale": factor, "bias": bias, "bias_after_scale": True},
    )


def remove(block: Block, op: Operator) -> None:
    """Removes `op` and the variables that only it wrote."""
    outputs = op.output_arg_names
    remove_operator(block, position(block, op))
    for name in outputs:
        if block.has_var(name) and not any(name in o.input_arg_names + o.output_arg_names for o in block.ops):
            remove_variable(block, name)


def bypass(block: Block, op: Operator) -> bool:
    """Removes `op` (X -> Out) and lets its readers read X, unless Out is an output of the program."""
    source, target = op.input("X")[0], op.output("Out")[0]
    reading = readers(block, target)
    if not reading or any(reader.type == "fetch" for reader in reading):
        return False
    for reader in reading:
        rename_input(reader, target, source)
    remove(block, op)
    return True


def remove_unread(block: Block, fetches: Sequence[str]) -> None:
    """Removes operators whose outputs nothing reads any more, and variables that no operator names."""
    others = [op for other in block.program.blocks if other is not block for op in other.ops]
    kept = {name for op in others for name in op.input_arg_names + op.output_arg_names} | set(fetches)
    while True:
        read = kept.union(*(op.input_arg_names for op in block.ops))
        dead = [
            index
            for index, op in enumerate(block.ops)
            if op.output_arg_names
            and op.type not in ("feed", "fetch")
            and read.isdisjoint(op.output_arg_names)
        ]
        if not dead:
            break
        for index in reversed(dead):
            remove_operator(block, index)
    named = kept.union(*(op.input_arg_names + op.output_arg_names for op in block.ops))
    for name in [name for name in block.vars if name not in named]:
        remove_variable(block, name)


def tensor_of(scope: Scope, name: str) -> Tensor:
    """The tensor in which the scope keeps the values of `name`. Raises: KeyError when it has none."""
    holder = scope.find_var(name)
    if holder is None:
        raise KeyError(name)
    return holder.get_tensor()


def value(loaded: LoadedProgram, name: str) -> Array:
    """A copy of the values of the parameter `name`."""
    return np.array(tensor_of(loaded.scope, name))


def overwrite(loaded: LoadedProgram, name: str, values: Array) -> None:
    """Gives the parameter `name` other values, of the same type and shape."""
    import paddle

    tensor_of(loaded.scope, name).set(values, paddle.CPUPlace())


def put_parameter(loaded: LoadedProgram, name: str, values: Array) -> None:
    """Makes `name` a parameter with these values, whatever it was before."""
    import paddle

    block = loaded.program.global_block()
    if block.has_var(name):
        remove_variable(block, name)
    block.create_var(name=name, shape=values.shape, dtype=str(values.dtype), persistable=True)
    loaded.scope.var(name).get_tensor().set(np.ascontiguousarray(values), paddle.CPUPlace())
