"""Folds a batch normalisation into the layer in front of it. Isolated process only.

Paddle does the same later, when it converts a quantized model or opens it. An algorithm that compares the
ranges of weights needs the weights that are left then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.engines.paddle.blocks import (
    operators,
    overwrite,
    position,
    put_parameter,
    readers,
    remove_unread,
    value,
    writer,
)
from paddle_int8.tasks.engines.paddle.private.operators import insert_operator, remove_operator, rename_output
from paddle_int8.tasks.engines.paddle.rewrites.layers import Layer, bias_behind, layer_of, multiply_weight

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

LAST = "NHWC"


def fold_batch_norms(loaded: LoadedProgram) -> int:
    """layer [+ bias], batch_norm -> layer + bias, where nothing else reads what stands between them.

    The tensors that are left keep their names. Returns how many were folded.
    """
    block = loaded.program.global_block()
    folded = sum(_fold(loaded, norm) for _, norm in operators(loaded, "batch_norm"))
    if folded:
        remove_unread(block, loaded.fetches)
    return folded


def _fold(loaded: LoadedProgram, norm: Operator) -> bool:
    block = loaded.program.global_block()
    (source,), (target,) = norm.input("X"), norm.output("Y")
    found = _layer_before(block, norm, source)
    if found is None:
        return False
    layer, bias = found
    mean, variance, scale, shift = (
        value(loaded, norm.input(slot)[0]).astype(np.float64)
        for slot in ("Mean", "Variance", "Scale", "Bias")
    )
    factor = scale / np.sqrt(variance + norm.attr("epsilon"))
    multiply_weight(loaded, layer, factor)
    index = position(block, norm)
    remove_operator(block, index)
    if bias is None:
        vector = f"{target}.bias"
        put_parameter(loaded, vector, (shift - mean * factor).astype(np.float32))
        insert_operator(
            block,
            index,
            type="elementwise_add",
            inputs={"X": [source], "Y": [vector]},
            outputs={"Out": [target]},
            attrs={"axis": layer.channels},
        )
    else:
        (vector,) = bias.input("Y")
        offset = (value(loaded, vector) - mean) * factor + shift
        overwrite(loaded, vector, offset.astype(np.float32))
        rename_output(bias, source, target)
    return True


def _layer_before(block: Block, norm: Operator, source: str) -> tuple[Layer, Operator | None] | None:
    """The layer whose answer `norm` reads, and the operator that adds its bias; None where there is none."""
    before = writer(block, source)
    layer, bias = layer_of(block, before), None
    if layer is None and before is not None and before.type == "elementwise_add":
        layer, bias = layer_of(block, writer(block, before.input("X")[0])), before
    if layer is None or (bias is not None and bias_behind(block, layer) is not bias):
        return None
    rank = len(block.var(source).shape)
    channels = -1 if norm.attr("data_layout") == LAST else 1
    stored = [layer.weight, *(bias.input("Y") if bias is not None else ())]
    alone = all(len(readers(block, name)) == 1 for name in (source, *stored))
    return (layer, bias) if alone and (channels - layer.channels) % rank == 0 else None
