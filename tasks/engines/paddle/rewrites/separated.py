"""Operators between which Paddle needs another one, or oneDNN answers wrongly. Isolated process only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.blocks import operators, place, writer
from paddle_int8.tasks.engines.paddle.private.operators import insert_operator, rename_input
from paddle_int8.tasks.engines.paddle.private.variables import variable_of
from paddle_int8.tasks.engines.paddle.rewrites.products import ACTIVATIONS

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

PRODUCTS = ("mul", "matmul", "matmul_v2")
ELEMENTWISE = tuple(f"elementwise_{kind}" for kind in ("add", "sub", "mul", "div", "max", "min", "pow"))
LEAST_RANK = 3
"""Of a tensor whose dimensions can be in another order."""
PLAIN = frozenset(
    {
        "feed",
        *PRODUCTS,
        "bmm",
        "reshape",
        "reshape2",
        "transpose",
        "transpose2",
        "squeeze2",
        "unsqueeze2",
        "flatten2",
        "flatten_contiguous_range",
        "layer_norm",
        "lookup_table_v2",
    }
)
"""Operators that write their dimensions in order."""
LAID_OUT = frozenset(
    {"conv2d", "depthwise_conv2d", "conv2d_transpose", "conv3d", "pool2d", "pool3d", "batch_norm", "lrn"}
)
"""Operators that write memory in the order which suits their kernel."""


def order_operands(loaded: LoadedProgram) -> int:
    """A convolution's or a pooling's result that a product reads as it is -> through `reshape2`.

    oneDNN's product takes its operands' memory for that of the dimensions in order, which it is not there.
    What a loop has changed has several writers, of which one cannot be told, and is left alone.
    """
    matched, writers = 0, _writers(loaded.program.global_block())
    for block, op in [pair for kind in PRODUCTS for pair in operators(loaded, kind)]:
        for name in dict.fromkeys(op.input_arg_names):
            if len(variable_of(block, name).shape) >= LEAST_RANK and _is_laid_out(writers, name):
                _separate(block, op, name)
                matched += 1
    return matched


def separate_activations(loaded: LoadedProgram) -> int:
    """Two activations behind a fully connected layer -> with `reshape2` between them.

    Paddle fuses the second into the layer too, in the place of the first.
    """
    matched = 0
    for block, op in [pair for kind in sorted(ACTIVATIONS) for pair in operators(loaded, kind)]:
        first = writer(block, op.input("X")[0])
        if first is not None and first.type in ACTIVATIONS and _follows_product(block, first):
            _separate(block, op, op.input("X")[0])
            matched += 1
    return matched


def give_scalars_a_dimension(loaded: LoadedProgram) -> int:
    """A tensor without dimensions beside one that has some -> one of a single element.

    oneDNN's kernel fails on a stored one: "could not reshape a memory descriptor".
    """
    matched = 0
    for block, op in [pair for kind in ELEMENTWISE for pair in operators(loaded, kind)]:
        names = [op.input("X")[0], op.input("Y")[0]]
        scalars = [name for name in names if not variable_of(block, name).shape]
        if len(set(scalars)) == 1 and len(scalars) < len(names):
            _separate(block, op, scalars[0], [1])
            matched += 1
    return matched


def _writers(block: Block) -> dict[str, list[Operator]]:
    """By variable, the operators that write it."""
    writers: dict[str, list[Operator]] = {}
    for op in block.ops:
        for name in op.output_arg_names:
            writers.setdefault(name, []).append(op)
    return writers


def _is_laid_out(writers: Mapping[str, list[Operator]], name: str) -> bool:
    """Whether `name` may have the memory of an operator in `LAID_OUT`."""
    waiting, seen = [name], set()
    while waiting:
        written = waiting.pop()
        sources = writers.get(written, [])
        if len(sources) != 1 or sources[0].type in PLAIN or written in seen:
            continue
        if sources[0].type in LAID_OUT:
            return True
        seen.add(written)
        waiting += sources[0].input_arg_names
    return False


def _follows_product(block: Block, op: Operator) -> bool:
    source: Operator | None = op
    while source is not None and source.type in ACTIVATIONS | {"elementwise_add", "reshape2"}:
        source = writer(block, source.input("X")[0])
    return source is not None and source.type in PRODUCTS


def _separate(block: Block, op: Operator, name: str, shape: list[int] | None = None) -> None:
    """Has `op` read a copy of `name` that `reshape2` writes, of the same shape if none is given."""
    given, target = variable_of(block, name), f"{op.output_arg_names[0]}.{name}.in_order"
    for copy in (target, f"{target}.shape"):
        block.create_var(name=copy, shape=given.shape if shape is None else shape, dtype=given.dtype)
    insert_operator(
        block,
        place(block, op),
        type="reshape2",
        inputs={"X": [name]},
        outputs={"Out": [target], "XShape": [f"{target}.shape"]},
        attrs={"shape": [0] * len(given.shape) if shape is None else shape},
    )
    rename_input(op, name, target)
