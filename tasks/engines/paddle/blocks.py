"""Who writes and who reads a variable of a `paddle.static` block, and changes to its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram


SKIPPED = "skip_quant"
"""What PaddleSlim looks for in an operator's name scope."""


def operators(loaded: LoadedProgram, kind: str) -> list[tuple[Any, Any]]:
    """Each operator of this type in the main block, with it."""
    block = loaded.program.global_block()
    return [(block, op) for op in block.ops if op.type == kind]


def readers(block: Any, name: str) -> list[Any]:
    return [op for op in block.ops if name in op.input_arg_names]


def writer(block: Any, name: str) -> Any:
    """The operator that writes `name`, or None."""
    return next((op for op in block.ops if name in op.output_arg_names), None)


def hide_from_slim(op: Any) -> None:
    """Has PaddleSlim leave `op` in FP32."""
    op._set_attr("op_namescope", SKIPPED)


def is_skipped(op: Any) -> bool:
    """Whether PaddleSlim was told to leave this operator in FP32."""
    return bool(op.has_attr("op_namescope") and SKIPPED in op.attr("op_namescope"))


def place(block: Any, op: Any) -> int:
    """Where `op` stands among the block's operators."""
    return next(index for index, other in enumerate(block.ops) if other is op)


def scale_before(block: Any, op: Any, source: str, target: str, factor: float, *, bias: float = 0.0) -> None:
    """Inserts `target` = `source` * factor + bias in front of `op`."""
    block._insert_op(
        place(block, op),
        type="scale",
        inputs={"X": [source]},
        outputs={"Out": [target]},
        attrs={"scale": factor, "bias": bias, "bias_after_scale": True},
    )


def remove(block: Any, op: Any) -> None:
    """Removes `op` and the variables that only it wrote."""
    outputs = op.output_arg_names
    block._remove_op(place(block, op))
    for name in outputs:
        if block.has_var(name) and not any(name in o.input_arg_names + o.output_arg_names for o in block.ops):
            block._remove_var(name)


def bypass(block: Any, op: Any) -> bool:
    """Removes `op` (X -> Out) and lets its readers read X, unless Out is an output of the program."""
    source, target = op.input("X")[0], op.output("Out")[0]
    reading = readers(block, target)
    if not reading or any(reader.type == "fetch" for reader in reading):
        return False
    for reader in reading:
        reader.desc._rename_input(target, source)
    remove(block, op)
    return True


def remove_unread(block: Any, fetches: Sequence[str]) -> None:
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
            block._remove_op(index)
    named = kept.union(*(op.input_arg_names + op.output_arg_names for op in block.ops))
    for name in [name for name in block.vars if name not in named]:
        block._remove_var(name)


def value(loaded: LoadedProgram, name: str) -> Any:
    """What the parameter `name` holds, as an array of its own."""
    return np.array(loaded.scope.find_var(name).get_tensor())


def store(loaded: LoadedProgram, name: str, values: Any) -> None:
    """Makes `name` a parameter with these values, whatever it was."""
    import paddle

    block = loaded.program.global_block()
    if block.has_var(name):
        block._remove_var(name)
    block.create_var(name=name, shape=values.shape, dtype=str(values.dtype), persistable=True)
    loaded.scope.var(name).get_tensor().set(np.ascontiguousarray(values), paddle.CPUPlace())
