"""Gives a dimension to tensors that have none, on which oneDNN's kernels fail. Isolated process only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.blocks import operators, position
from paddle_int8.tasks.engines.paddle.private.operators import insert_operator, rename_input
from paddle_int8.tasks.engines.paddle.private.variables import variable_of

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

ELEMENTWISE = tuple(f"elementwise_{kind}" for kind in ("add", "sub", "mul", "div", "max", "min", "pow"))


def give_scalars_a_dimension(loaded: LoadedProgram) -> int:
    """A tensor without dimensions beside one that has some -> a vector of one element.

    oneDNN's kernel fails on a stored tensor without dimensions: "could not reshape a memory descriptor".
    """
    matched = 0
    for block, op in [pair for kind in ELEMENTWISE for pair in operators(loaded, kind)]:
        names = [op.input("X")[0], op.input("Y")[0]]
        scalars = [name for name in names if not variable_of(block, name).shape]
        if len(set(scalars)) == 1 and len(scalars) < len(names):
            _lengthen(block, op, scalars[0])
            matched += 1
    return matched


def _lengthen(block: Block, op: Operator, name: str) -> None:
    """Makes `op` read `name` as a vector of one element."""
    target = f"{op.output_arg_names[0]}.{name}.vector"
    for copy in (target, f"{target}.shape"):
        block.create_var(name=copy, shape=[1], dtype=variable_of(block, name).dtype)
    insert_operator(
        block,
        position(block, op),
        type="reshape2",
        inputs={"X": [name]},
        outputs={"Out": [target], "XShape": [f"{target}.shape"]},
        attrs={"shape": [1]},
    )
    rename_input(op, name, target)
