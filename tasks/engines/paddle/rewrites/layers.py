"""Convolutions and products with a stored matrix, and the bias that Paddle fuses into them.

Isolated process only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.engines.paddle.blocks import position, put_parameter, readers, value
from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS
from paddle_int8.tasks.engines.paddle.private.operators import insert_operator, rename_output

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

FLAGS = {"matmul": ("transpose_X", "transpose_Y"), "matmul_v2": ("trans_x", "trans_y")}
"""The attributes of a product that must be off."""


@dataclass(frozen=True, slots=True)
class Layer:
    """`op` multiplies `source` by the stored `weight` and writes `answer`.

    outputs: the dimension of the weight that has the output channels.
    channels: the dimension of the answer that has them, 1 or -1.
    """

    op: Operator
    source: str
    weight: str
    answer: str
    outputs: int
    channels: int


def layer_of(block: Block, op: Operator | None) -> Layer | None:
    """A convolution or a product as a layer; None for any other operator, and for None."""
    if op is None:
        return None
    if op.type in CONVOLUTIONS and block.var(op.input("Filter")[0]).persistable:
        (source,), (weight,), (answer,) = op.input("Input"), op.input("Filter"), op.output("Output")
        return Layer(op, source, weight, answer, 0, -1 if op.attr("data_format") == "NHWC" else 1)
    return product_of(block, op)


def product_of(block: Block, op: Operator) -> Layer | None:
    """A product of activations with a stored matrix, not transposed, and without a factor."""
    if (
        op.type not in FLAGS
        or not block.var(op.input("Y")[0]).persistable
        or len(block.var(op.input("Y")[0]).shape) != 2
        or any(op.attr(flag) for flag in FLAGS[op.type])
        or (op.has_attr("alpha") and op.attr("alpha") != 1)
    ):
        return None
    (source,), (weight,), (answer,) = op.input("X"), op.input("Y"), op.output("Out")
    return Layer(op, source, weight, answer, 1, -1)


def is_bias(block: Block, layer: Layer, op: Operator) -> bool:
    """Whether `op` adds a vector to the layer's answer in the way that Paddle fuses."""
    if op.type != "elementwise_add" or op.input("X") != [layer.answer]:
        return False
    vector, channels = block.var(op.input("Y")[0]), block.var(layer.weight).shape[layer.outputs]
    same_axis = (op.attr("axis") - layer.channels) % len(block.var(layer.answer).shape) == 0
    return bool(same_axis and vector.persistable and vector.shape == (channels,))


def bias_behind(block: Block, layer: Layer) -> Operator | None:
    """The operator that adds the layer's bias, when that is all that reads its answer."""
    reading = readers(block, layer.answer)
    return reading[0] if len(reading) == 1 and is_bias(block, layer, reading[0]) else None


def add_bias(loaded: LoadedProgram, layer: Layer, bias: Array) -> None:
    """layer -> layer + bias, under the name of the layer's answer. bias: one value for each channel."""
    block = loaded.program.global_block()
    answer = block.var(layer.answer)
    vector, product = f"{layer.answer}.bias", f"{layer.answer}.product"
    put_parameter(loaded, vector, bias.astype(np.float32))
    block.create_var(name=product, shape=answer.shape, dtype=answer.dtype)
    rename_output(layer.op, layer.answer, product)
    insert_operator(
        block,
        position(block, layer.op) + 1,
        type="elementwise_add",
        inputs={"X": [product], "Y": [vector]},
        outputs={"Out": [layer.answer]},
        attrs={"axis": layer.channels},
    )


def multiply_weight(loaded: LoadedProgram, layer: Layer, factor: Array) -> None:
    """Multiplies the layer's weight by `factor`: one for all output channels, or one for each."""
    weight = value(loaded, layer.weight)
    shape = [1] * weight.ndim
    shape[layer.outputs] = -1
    put_parameter(loaded, layer.weight, (weight * factor.reshape(shape)).astype(weight.dtype))
