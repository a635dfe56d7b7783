"""Rewrites that make of products with a stored matrix the fully connected layers that Paddle quantizes.

Isolated process only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.model.blocks import hide_from_slim, place, readers, remove_unread, store

if TYPE_CHECKING:
    from tasks.model.program import LoadedProgram

FLAGS = {"matmul": ("transpose_X", "transpose_Y"), "matmul_v2": ("trans_x", "trans_y")}
"""Of a product, those that must be off."""
ACTIVATIONS = frozenset(
    {
        *("abs", "clip", "gelu", "hard_sigmoid", "hard_swish", "leaky_relu", "mish", "relu", "relu6"),
        *("sigmoid", "sqrt", "swish", "tanh"),
    }
)
"""Those that Paddle fuses into a layer."""
LARGEST_RANK = 3
"""Of an input that oneDNN's fully connected layer takes."""


def give_products_a_bias(loaded: LoadedProgram) -> int:
    """product -> product + 0, where no bias follows: Paddle makes a fully connected layer of the two only."""
    block, matched = loaded.program.global_block(), 0
    for op in _layers(block):
        (weight,), (output,) = op.input("Y"), op.output("Out")
        if _bias_add(block, output) is None:
            outputs = block.var(weight).shape[1]
            bias, product = f"{output}.bias", f"{output}.product"
            store(loaded, bias, np.zeros(outputs, np.float32))
            block.create_var(name=product, shape=block.var(output).shape, dtype=block.var(output).dtype)
            op.desc.set_output("Out", [product])
            block._insert_op(
                place(block, op) + 1,
                type="elementwise_add",
                inputs={"X": [product], "Y": [bias]},
                outputs={"Out": [output]},
                attrs={"axis": -1},
            )
            matched += 1
    return matched


def flatten_layer_inputs(loaded: LoadedProgram) -> int:
    """product of four or more dimensions -> reshape2 to three, product, reshape2 back.

    Paddle runs such a layer outside of oneDNN, in FP32, or gives it a kernel that dies. Bias and activation
    come before the way back, so that they are fused; a layer behind it takes the three dimensions.
    """
    block = loaded.program.global_block()
    flat: dict[str, str] = {}
    matched = 0
    for op in _layers(block):
        (source,) = op.input("X")
        shape = block.var(source).shape
        if len(shape) <= LARGEST_RANK or sum(side < 0 for side in shape[1:]) > 1 or shape[-1] < 0:
            continue
        if source not in flat:
            flat[source] = _rows(block, source, [0, -1, shape[-1]], place(block, op))
        op.desc.set_input("X", [flat[source]])
        last, output = _flatten_outputs(block, op)
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


def is_layer(block: Any, op: Any) -> bool:
    """Whether `op` is a product of activations with a stored matrix, not transposed, and without a factor."""
    return bool(
        op.type in FLAGS
        and block.var(op.input("Y")[0]).persistable
        and len(block.var(op.input("Y")[0]).shape) == 2
        and not any(op.attr(flag) for flag in FLAGS[op.type])
        and not (op.has_attr("alpha") and op.attr("alpha") != 1)
    )


def _layers(block: Any) -> list[Any]:
    return [op for op in block.ops if is_layer(block, op)]


def _bias_add(block: Any, name: str) -> Any:
    """The addition of a stored vector, when that is all that reads `name`."""
    reading = readers(block, name)
    if len(reading) != 1 or reading[0].type != "elementwise_add" or reading[0].input("X") != [name]:
        return None
    bias = block.var(reading[0].input("Y")[0])
    return reading[0] if bias.persistable and len(bias.shape) == 1 else None


def _flatten_outputs(block: Any, op: Any) -> tuple[Any, str]:
    """The last operator that will be fused into the layer `op`, and what it wrote, before it wrote rows."""
    while True:
        (output,) = op.output("Out")
        variable = block.var(output)
        rows = f"{output}.rows"
        block.create_var(name=rows, shape=[variable.shape[0], -1, variable.shape[-1]], dtype=variable.dtype)
        following = _bias_add(block, output) or _activation(block, output)
        op.desc.set_output("Out", [rows])
        if following is None:
            return op, output
        following.desc.set_input("X", [rows])
        if following.has_attr("axis"):
            following._set_attr("axis", -1)
        op = following


def _activation(block: Any, name: str) -> Any:
    reading = readers(block, name)
    return reading[0] if len(reading) == 1 and reading[0].type in ACTIVATIONS else None


def _rows(block: Any, source: str, shape: list[int], index: int, named: str = "") -> str:
    """Inserts reshape2 of `source` as the block's operator `index`; returns its output."""
    target = named or f"{source}.rows"
    dtype = block.var(source).dtype
    if not named:
        block.create_var(name=target, shape=[block.var(source).shape[0], *shape[1:]], dtype=dtype)
    block.create_var(name=f"{target}.shape", shape=[0, *block.var(source).shape], dtype=dtype)
    block._insert_op(
        index,
        type="reshape2",
        inputs={"X": [source]},
        outputs={"Out": [target], "XShape": [f"{target}.shape"]},
        attrs={"shape": shape},
    )
    return target
