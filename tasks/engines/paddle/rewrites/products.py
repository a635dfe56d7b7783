"""Rewrites that make of products with a stored matrix the fully connected layers that Paddle quantizes.

Isolated process only.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.engines.paddle.blocks import hide_from_slim, operators, place, readers, remove_unread
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
"""Those that Paddle fuses into a layer."""
LARGEST_RANK = 3
"""Of an input that oneDNN's fully connected layer takes."""


def multiply_rows(loaded: LoadedProgram) -> int:
    """`mul` of four and more dimensions, or of several together -> reshape2, matmul_v2.

    Paddle makes a fully connected layer of such a `mul` that runs outside of oneDNN, in FP32, or dies.
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
            source = _rows(block, source, [0] * kept + [joined], place(block, op), named=target)
        insert_operator(
            block,
            place(block, op),
            type="matmul_v2",
            inputs={"X": [source], "Y": [weight]},
            outputs={"Out": op.output("Out")},
            attrs={"trans_x": False, "trans_y": False},
        )
        remove_operator(block, place(block, op))
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

    Paddle runs such a layer outside of oneDNN, in FP32, or gives it a kernel that dies. Bias and activation
    come before the way back, so that they are fused; a layer behind it takes the three dimensions.
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
            flat[source] = _rows(block, source, [0, -1, shape[-1]], place(block, op))
        set_input(op, "X", [flat[source]])
        last, output = _flatten_outputs(block, layer)
        back = [0, *block.var(output).shape[1:]]
        flat[output] = last.output("Out")[0]
        _rows(block, flat[output], back, place(block, last) + 1, named=output)
        matched += 1
    if matched:
        remove_unread(block, loaded.fetches)
    return matched


def keep_unusual_products_fp32(loaded: LoadedProgram) -> int:
    """Has PaddleSlim leave products alone whose stored operand is no matrix, or stands in front.

    It takes each for a layer's weight: the scales are along the wrong axis, so that answers are wrong (-13 dB
    where the simulation has 33), or it fails, or the predictor does.
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
    """The last operator that will be fused into the layer, and what it wrote, before it wrote rows."""
    op = layer.op
    while True:
        variable = block.var(layer.answer)
        rows = f"{layer.answer}.rows"
        block.create_var(name=rows, shape=[variable.shape[0], -1, variable.shape[-1]], dtype=variable.dtype)
        following = bias_behind(block, layer) or _activation(block, layer.answer)
        set_output(op, "Out", [rows])
        if following is None:
            return op, layer.answer
        set_input(following, "X", [rows])
        if following.has_attr("axis"):
            set_attribute(following, "axis", -1)
        op, layer = following, replace(layer, answer=following.output("Out")[0])


def _activation(block: Block, name: str) -> Operator | None:
    reading = readers(block, name)
    return reading[0] if len(reading) == 1 and reading[0].type in ACTIVATIONS else None


def _rows(block: Block, source: str, shape: list[int], index: int, named: str = "") -> str:
    """Inserts reshape2 of `source` as the block's operator `index`; returns its output."""
    target = named or f"{source}.rows"
    dtype = block.var(source).dtype
    if not named:
        block.create_var(name=target, shape=[block.var(source).shape[0], *shape[1:]], dtype=dtype)
    block.create_var(name=f"{target}.shape", shape=[0, *block.var(source).shape], dtype=dtype)
    insert_operator(
        block,
        index,
        type="reshape2",
        inputs={"X": [source]},
        outputs={"Out": [target], "XShape": [f"{target}.shape"]},
        attrs={"shape": shape},
    )
    return target
