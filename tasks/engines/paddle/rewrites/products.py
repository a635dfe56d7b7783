"""Rewrites that turn products with a stored matrix into the fully connected layers that Paddle quantizes.

Isolated process only.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.engines.paddle.blocks import (
    hide_from_slim,
    operators,
    position,
    readers,
    remove_unread,
)
from paddle_int8.tasks.engines.paddle.private.operators import (
    insert_operator,
    remove_operator,
    set_attribute,
    set_input,
    set_output,
)
from paddle_int8.tasks.engines.paddle.rewrites.layers import FLAGS, Layer, add_bias, bias_behind, product_of

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

ACTIVATIONS = frozenset(
    {
        *("abs", "clip", "gelu", "hard_sigmoid", "hard_swish", "leaky_relu", "mish", "relu", "relu6"),
        *("sigmoid", "sqrt", "swish", "tanh"),
    }
)
"""Activations that Paddle fuses into a layer."""
LARGEST_RANK = 3
"""The most dimensions of an input that oneDNN's fully connected layer takes."""


def multiply_rows(loaded: LoadedProgram) -> int:
    """`mul` on four or more dimensions, or over several of them together -> reshape2, matmul_v2.

    Paddle makes a fully connected layer of such a `mul`, and runs it outside of oneDNN in FP32, or dies.
    """
    matched = 0
    for block, op in operators(loaded, "mul"):
        (source,), (weight,), kept = op.input("X"), op.input("Y"), op.attr("x_num_col_dims")
        shape = block.var(source).shape
        joined = prod(shape[kept:])
        if (kept == len(shape) - 1 < LARGEST_RANK) or min(shape[kept:]) < 0 or op.attr("y_num_col_dims") != 1:
            continue
        if kept < len(shape) - 1:
            target = f"{op.output('Out')[0]}.rows"
            block.create_var(name=target, shape=[*shape[:kept], joined], dtype=block.var(source).dtype)
            source = _rows(block, source, [0] * kept + [joined], position(block, op), named=target)
        insert_operator(
            block,
            position(block, op),
            type="matmul_v2",
            inputs={"X": [source], "Y": [weight]},
            outputs={"Out": op.output("Out")},
            attrs={"trans_x": False, "trans_y": False},
        )
        remove_operator(block, position(block, op))
        matched += 1
    return matched


def give_products_a_bias(loaded: LoadedProgram) -> int:
    """product -> product + 0, where no bias follows: Paddle makes a fully connected layer of the two only."""
    block = loaded.program.global_block()
    bare = [layer for layer in _products(block) if bias_behind(block, layer) is None]
    for layer in bare:
        add_bias(loaded, layer, np.zeros(block.var(layer.weight).shape[layer.outputs]))
    return len(bare)


def flatten_layer_inputs(loaded: LoadedProgram) -> int:
    """product of four or more dimensions -> reshape2 to three, product, reshape2 back.

    Paddle runs such a layer outside of oneDNN in FP32, or gives it a kernel that dies. The bias and the
    activation stand in front of the second reshape2, so that they are fused. A layer that follows reads the
    three dimensions.
    """
    block = loaded.program.global_block()
    flat: dict[str, str] = {}
    matched = 0
    for layer in _products(block):
        op, source = layer.op, layer.source
        shape = block.var(source).shape
        if len(shape) <= LARGEST_RANK or sum(side < 0 for side in shape[1:]) > 1 or shape[-1] < 0:
            continue
        if source not in flat:
            flat[source] = _rows(block, source, [0, -1, shape[-1]], position(block, op))
        set_input(op, "X", [flat[source]])
        last, output = _flatten_outputs(block, layer)
        back = [0, *block.var(output).shape[1:]]
        flat[output] = last.output("Out")[0]
        _rows(block, flat[output], back, position(block, last) + 1, named=output)
        matched += 1
    if matched:
        remove_unread(block, loaded.fetches)
    return matched


def keep_unusual_products_fp32(loaded: LoadedProgram) -> int:
    """Makes PaddleSlim leave products alone whose stored operand is no matrix, or is the first operand.

    PaddleSlim takes each such operand for a layer's weight. Its scales are then along the wrong axis, so that
    answers are wrong (-13 dB where the simulation has 33), or PaddleSlim fails, or the predictor does.
    """
    block = loaded.program.global_block()
    found = [
        op
        for op in block.ops
        if op.type in FLAGS
        and (
            block.var(op.input("X")[0]).persistable
            or (block.var(op.input("Y")[0]).persistable and len(block.var(op.input("Y")[0]).shape) != 2)
        )
    ]
    for op in found:
        hide_from_slim(op)
    return len(found)


def _products(block: Block) -> list[Layer]:
    return [layer for op in block.ops if (layer := product_of(block, op)) is not None]


def _flatten_outputs(block: Block, layer: Layer) -> tuple[Operator, str]:
    """Makes the layer write rows, and the bias and activation that Paddle fuses into it read and write them.

    Example: a layer of 8 channels with a bias and a relu, on activations [N, 4, 5, 6].

        before                                      after
        matmul_v2        -> y  [N, 4, 5, 8]         matmul_v2             -> y.rows  [N, 20, 8]
        y + bias         -> z  [N, 4, 5, 8]         y.rows + bias         -> z.rows  [N, 20, 8]
        relu(z)          -> r  [N, 4, 5, 8]         relu(z.rows)          -> r.rows  [N, 20, 8]

    Returns the last of these operators, and the name of the tensor that it wrote before: the relu and `r`.
    Nothing writes `r` any more until the caller computes it from `r.rows`.
    """
    op = layer.op
    while True:
        following = bias_behind(block, layer) or _activation(block, layer.answer)
        rows = _rows_variable(block, layer.answer)
        set_output(op, "Out", [rows])
        if following is None:
            return op, layer.answer
        _read_rows(following, rows)
        op, layer = following, replace(layer, answer=following.output("Out")[0])


def _rows_variable(block: Block, name: str) -> str:
    """A new variable that holds the values of `name`, [N, ..., C], as rows, [N, -1, C]."""
    variable, rows = block.var(name), f"{name}.rows"
    block.create_var(name=rows, shape=[variable.shape[0], -1, variable.shape[-1]], dtype=variable.dtype)
    return rows


def _read_rows(op: Operator, rows: str) -> None:
    """Makes a bias or an activation read `rows`; the bias then lies along their last dimension."""
    set_input(op, "X", [rows])
    if op.has_attr("axis"):
        set_attribute(op, "axis", -1)


def _activation(block: Block, name: str) -> Operator | None:
    reading = readers(block, name)
    return reading[0] if len(reading) == 1 and reading[0].type in ACTIVATIONS else None


def _rows(block: Block, source: str, shape: list[int], index: int, named: str = "") -> str:
    """Inserts a `reshape2` of `source` as the block's operator `index`; returns the name of its output.

    shape: as `reshape2` reads it; 0 keeps the dimension at this position, -1 takes what is left.
    named: the variable to write; without it a new one, `<source>.rows`.
    Example: `x` [N, 4, 5, 6] with the shape [0, -1, 6] becomes `x.rows` [N, 20, 6].
    """
    variable, target = block.var(source), named or f"{source}.rows"
    if not named:
        block.create_var(name=target, shape=[variable.shape[0], *shape[1:]], dtype=variable.dtype)
    source_shape = f"{target}.shape"  # an output that the operator must have, for gradients alone
    block.create_var(name=source_shape, shape=[0, *variable.shape], dtype=variable.dtype)
    insert_operator(
        block,
        index,
        type="reshape2",
        inputs={"X": [source]},
        outputs={"Out": [target], "XShape": [source_shape]},
        attrs={"shape": shape},
    )
    return target
