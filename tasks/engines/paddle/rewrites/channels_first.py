"""A rewrite that computes with the channels first what the program computes with them last.

Isolated process only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.blocks import position, remove_unread, writer
from paddle_int8.tasks.engines.paddle.private.operators import (
    insert_operator,
    rename_input,
    rename_output,
    set_attribute,
    set_input,
)
from paddle_int8.tasks.engines.paddle.rewrites.products import ACTIVATIONS

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

ORDERS = ("data_format", "data_layout")
"""The names of the attribute that holds the order of the dimensions."""
FIRST = {"NHWC": "NCHW", "NDHWC": "NCDHW", "NLC": "NCL"}
SOURCES, TARGETS = ("Input", "X"), ("Output", "Out", "Y")
ALONE = ACTIVATIONS | {"scale", "elu", "exp", "log", "pow", "silu", "softplus"}
TOGETHER = frozenset(f"elementwise_{kind}" for kind in ("add", "sub", "mul", "div", "max", "min"))


def compute_channels_first(loaded: LoadedProgram) -> int:
    """layer on [N, H, W, C] -> transpose2, layer on [N, C, H, W], transpose2 back.

    oneDNN computes with the channels first anyway. But Paddle remembers one order for a whole program, takes
    every tensor for one of that order, and adds what it fuses along the wrong dimension. With both orders in
    a program, with a bias, or with a reduction in between, answers have another shape or the predictor dies,
    in FP32 too. Nothing is transposed between two layers that follow each other.
    Returns how many layers there were.
    """
    block = loaded.program.global_block()
    turned: dict[str, str] = {}
    matched = 0
    for op in list(block.ops):
        order = next((name for name in ORDERS if op.has_attr(name) and op.attr(name) in FIRST), None)
        if order is not None:
            set_attribute(op, order, FIRST[op.attr(order)])
            matched += 1
            _turn(block, op, turned, [_only(op.input, SOURCES, op.input_names)])
        elif turned and op.type in ALONE and op.input("X")[0] in turned and len(op.input_arg_names) == 1:
            _turn(block, op, turned, op.input("X"))
        elif turned and op.type in TOGETHER:
            _turn_together(block, op, turned)
    if matched:
        remove_unread(block, loaded.fetches)
    return matched


def _turn_together(block: Block, op: Operator, turned: dict[str, str]) -> None:
    """Turns an operator on two turned tensors, or on one and a vector with a value for each channel."""
    (x,), (y,) = op.input("X"), op.input("Y")
    if x in turned and y in turned and block.var(x).shape == block.var(y).shape:
        _turn(block, op, turned, [x, y])
        return
    vector, last = _vector(block, y), len(block.var(x).shape) - 1
    if x in turned and vector is not None and (op.attr("axis") in (-1, last) or vector != y):
        set_input(op, "Y", [vector])
        set_attribute(op, "axis", 1)
        _turn(block, op, turned, [x])


def _turn(block: Block, op: Operator, turned: dict[str, str], sources: list[str]) -> None:
    """Makes `op` read the turned `sources` and write its answer turned, and turns a copy of that back."""
    for source in sources:
        rank = len(block.var(source).shape)
        if source not in turned:
            turned[source] = f"{source}.first"
            _transpose(block, position(block, op), source, turned[source], [0, rank - 1, *range(1, rank - 1)])
        rename_input(op, source, turned[source])
    target = _only(op.output, TARGETS, op.output_names)
    rank = len(block.var(target).shape)
    order = [0, rank - 1, *range(1, rank - 1)]
    turned[target] = f"{target}.first"
    _variable(block, turned[target], target, [block.var(target).shape[axis] for axis in order])
    rename_output(op, target, turned[target])
    _transpose(block, position(block, op) + 1, turned[target], target, [0, *range(2, rank), 1])


def _transpose(block: Block, index: int, source: str, target: str, order: list[int]) -> None:
    """Inserts transpose2 as the block's operator `index`."""
    shape = block.var(source).shape
    if not block.has_var(target):
        _variable(block, target, source, [shape[axis] for axis in order])
    _variable(block, f"{target}.shape", source, [0, *shape])
    insert_operator(
        block,
        index,
        type="transpose2",
        inputs={"X": [source]},
        outputs={"Out": [target], "XShape": [f"{target}.shape"]},
        attrs={"axis": order},
    )


def _variable(block: Block, name: str, like: str, shape: list[int]) -> None:
    block.create_var(name=name, shape=shape, dtype=block.var(like).dtype)


def _only(names: Callable[[str], list[str]], slots: tuple[str, ...], known: list[str]) -> str:
    return str(next(name for slot in slots if slot in known for name in names(slot)))


def _vector(block: Block, name: str) -> str | None:
    """The stored vector that `name` is, or of which it is a reshape to [1, ..., 1, C]; else None."""
    reshape = writer(block, name)
    if reshape is not None and reshape.type == "reshape2" and set(block.var(name).shape[:-1]) == {1}:
        name = reshape.input("X")[0]
    variable = block.var(name)
    return name if variable.persistable and len(variable.shape) == 1 else None
