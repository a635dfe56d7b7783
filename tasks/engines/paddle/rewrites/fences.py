"""Copies between operators that Paddle would join wrongly on oneDNN. Isolated process only.

`assign` has no kernel in oneDNN: nothing is fused across it, and what it writes lies in plain order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.blocks import operators, place, readers, writer
from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS
from paddle_int8.tasks.engines.paddle.private.operators import insert_operator, rename_input, set_input
from paddle_int8.tasks.engines.paddle.rewrites.products import ACTIVATIONS

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

PRODUCTS = ("matmul", "matmul_v2", "bmm")
CONVOLVED = CONVOLUTIONS | {"conv2d_transpose", "conv3d", "conv3d_transpose", "depthwise_conv2d_transpose"}
PLAIN = frozenset(
    {
        "assign",
        "cast",
        "flatten_contiguous_range",
        "fc",
        "matmul",
        "matmul_v2",
        "mul",
        "reshape2",
        "transpose2",
    }
)
"""What writes its values in plain order, whatever the order that it reads."""


def separate_second_activations(loaded: LoadedProgram) -> int:
    """activation -> activation, with a copy between.

    Paddle fuses each into the layer in front, and the layer knows one: it computes the second function of
    the first one's parameters, and not the first.
    """
    return sum(
        fence(block, op, op.input("X")[0])
        for kind in ACTIVATIONS
        for block, op in operators(loaded, kind)
        if (source := writer(block, op.input("X")[0])) is not None and source.type in ACTIVATIONS
    )


def separate_normalised_readers(loaded: LoadedProgram) -> int:
    """batch_norm -> ReLU and others, with a copy in front of the ReLU.

    The conversion to `offline` fuses the two without asking for others, which then read what nothing writes:
    the predictor dies.
    """
    return sum(
        fence(block, op, op.input("X")[0])
        for block, op in operators(loaded, "relu")
        if (source := writer(block, op.input("X")[0])) is not None
        and source.type == "batch_norm"
        and len(readers(block, op.input("X")[0])) > 1
    )


def straighten_convolved_factors(loaded: LoadedProgram) -> int:
    """convolution -> product of activations, with a copy between.

    Convolutions interleave their channels, and the product's kernel takes what it reads for plain rows.
    """
    return sum(
        fence(block, op, name)
        for kind in PRODUCTS
        for block, op in operators(loaded, kind)
        if not any(block.var(name).persistable for name in op.input("X") + op.input("Y"))
        for name in dict.fromkeys(op.input("X") + op.input("Y"))
        if _is_convolved(block, name)
    )


def separate_equal_factors(loaded: LoadedProgram) -> int:
    """x times x -> a copy of x times another. Paddle quantizes inputs by their names, and does none twice.

    Both are copies, since the predictor of `qdq` knows no sign of a copy, and multiplies no two signs.
    """
    block = loaded.program.global_block()
    found = [op for op in block.ops if op.type in PRODUCTS and op.input("X") == op.input("Y")]
    for op in found:
        (source,) = op.input("X")
        for slot in ("X", "Y"):
            set_input(op, slot, [_copy(block, op, source, slot)])
    return len(found)


def _is_convolved(block: Block, name: str) -> bool:
    """Whether a convolution's order of channels may reach `name`."""
    waiting, seen = [name], set()
    while waiting:
        source = writer(block, waiting.pop())
        if source is None or source.type in PLAIN or id(source) in seen:
            continue
        if source.type in CONVOLVED:
            return True
        seen.add(id(source))
        waiting += [other for other in source.input_arg_names if not block.var(other).persistable]
    return False


def fence(block: Block, op: Operator, source: str) -> bool:
    """Has `op` read a copy of `source`."""
    rename_input(op, source, _copy(block, op, source, "copy"))
    return True


def _copy(block: Block, op: Operator, source: str, suffix: str) -> str:
    """The name of a copy of `source`, made in front of `op`."""
    copy = f"{source}.{op.output_arg_names[0]}.{suffix}"
    block.create_var(name=copy, shape=block.var(source).shape, dtype=block.var(source).dtype)
    insert_operator(block, place(block, op), type="assign", inputs={"X": [source]}, outputs={"Out": [copy]})
    return copy
