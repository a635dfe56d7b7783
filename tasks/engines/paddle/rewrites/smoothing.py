"""Moves outliers of activations behind a layer norm into the weights that read them. Isolated process only.

Source: Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language
Models", ICML 2023, section 4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.engines.paddle.blocks import overwrite, position, put_parameter, readers, value
from paddle_int8.tasks.engines.paddle.private.operators import insert_operator, rename_input, set_input
from paddle_int8.tasks.engines.paddle.rewrites.layers import Layer, product_of

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array, Feed
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

PARAMETERS = ("Scale", "Bias")


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothable:
    """A layer norm whose `answer` the `layers` read, some perhaps as `first` readers reshape it.

    alone: whether nothing else reads the answer.
    """

    norm: Operator
    answer: str
    first: tuple[Operator, ...]
    layers: tuple[Layer, ...]
    alone: bool


def smooth(loaded: LoadedProgram, batches: Iterable[Feed], *, alpha: float) -> int:
    """Divides what layers behind a layer norm read by a factor a channel, and multiplies their weights.

    FP32's answers stay, but for rounding. The factors are in the norm's scale and shift; where something else
    reads the norm's answer too, such as the sum behind a post-norm encoder's layer, the layers get a norm of
    their own. Returns how many norms there are.

    batches: samples on which the activations' greatest magnitudes are taken. alpha: see `smoothing`.
    """
    found = smoothable(loaded.program.global_block())
    greatest = _greatest(loaded, [each.answer for each in found], batches) if found else {}
    for each in found:
        weights = np.max([np.abs(value(loaded, layer.weight)).max(axis=1) for layer in each.layers], axis=0)
        divide(loaded, each, smoothing(greatest[each.answer], weights, alpha))
    return len(found)


def smoothing(activations: Array, weights: Array, alpha: float) -> Array:
    """activations^alpha / weights^(1 - alpha): what each channel of the activations is divided by.

    activations, weights: each channel's greatest magnitude, [channels]. Returns [channels]; a channel that is
    0 in either keeps its values.
    """
    alive = (activations > 0) & (weights > 0)
    factor = np.where(alive, activations, 1) ** alpha / np.where(alive, weights, 1) ** (1 - alpha)
    return np.asarray(factor, np.float32)


def smoothable(block: Block) -> list[Smoothable]:
    found = [_smoothable(block, op) for op in block.ops if op.type == "layer_norm"]
    return [each for each in found if each is not None]


def _smoothable(block: Block, norm: Operator) -> Smoothable | None:
    (answer,) = norm.output("Y")
    shape = block.var(answer).shape
    stored = all(norm.input(slot) for slot in PARAMETERS)
    if not stored or norm.attr("begin_norm_axis") != len(shape) - 1:
        return None
    reading = readers(block, answer)
    behind = {index: _layers_behind(block, op, answer) for index, op in enumerate(reading)}
    layers = [layer for each in behind.values() for layer in each]
    if not layers:
        return None
    return Smoothable(
        norm=norm,
        answer=answer,
        first=tuple(reading[index] for index, each in behind.items() if each),
        layers=tuple(layers),
        alone=all(behind.values()),
    )


def _layers_behind(block: Block, op: Operator, name: str) -> list[Layer]:
    """The layers that `op` is or that read what it makes of `name`; none where anything else does so too."""
    layer = product_of(block, op)
    if layer is not None:
        alone = layer.source == name and len(readers(block, layer.weight)) == 1
        return [layer] if alone else []
    if op.type != "reshape2" or op.input_arg_names != [name]:
        return []
    (rows,) = op.output("Out")
    if block.var(rows).shape[-1] != block.var(name).shape[-1]:
        return []
    found = [_layers_behind(block, reader, rows) for reader in readers(block, rows)]
    return [layer for each in found for layer in each] if all(found) else []


def _greatest(loaded: LoadedProgram, names: list[str], batches: Iterable[Feed]) -> dict[str, Array]:
    """Each channel's greatest magnitude, [channels], by tensor."""
    import paddle

    from paddle_int8.tasks.engines.paddle.quantization.tensors import fed, view

    executor = paddle.static.Executor(paddle.CPUPlace())
    greatest: dict[str, Array] = {}
    with paddle.static.scope_guard(loaded.scope):
        for batch in batches:
            tensors = executor.run(
                loaded.program, feed=fed(batch, loaded.feeds), fetch_list=names, return_numpy=False
            )
            for name, tensor in zip(names, tensors, strict=True):
                values = np.abs(view(tensor))
                found = values.reshape(-1, values.shape[-1]).max(axis=0)
                greatest[name] = np.maximum(greatest.get(name, found), found)
    return greatest


def divide(loaded: LoadedProgram, found: Smoothable, factor: Array) -> None:
    """Divides what the layers read by `factor`, [channels], and multiplies the weights that read it."""
    block = loaded.program.global_block()
    norm = found.norm if found.alone else _own_norm(block, found)
    (answer,) = norm.output("Y")
    for slot in PARAMETERS:
        (name,) = norm.input(slot)
        divided = value(loaded, name) / factor
        if len(readers(block, name)) == 1:
            overwrite(loaded, name, divided)
            continue
        put_parameter(loaded, f"{answer}.{slot.lower()}", divided)
        set_input(norm, slot, [f"{answer}.{slot.lower()}"])
    for layer in found.layers:
        overwrite(loaded, layer.weight, value(loaded, layer.weight) * factor[:, None])


def _own_norm(block: Block, found: Smoothable) -> Operator:
    """A second norm of the same values, which the layers read instead of the first one."""
    norm, answer = found.norm, f"{found.answer}.smooth"
    outputs = {"Y": answer, "Mean": f"{answer}.mean", "Variance": f"{answer}.variance"}
    for slot, name in outputs.items():
        twin = block.var(norm.output(slot)[0])
        block.create_var(name=name, shape=twin.shape, dtype=twin.dtype)
    made = insert_operator(
        block,
        position(block, norm) + 1,
        type="layer_norm",
        inputs={slot: norm.input(slot) for slot in ("X", *PARAMETERS)},
        outputs={slot: [name] for slot, name in outputs.items()},
        attrs={name: norm.attr(name) for name in ("epsilon", "begin_norm_axis")},
    )
    for reader in found.first:
        rename_input(reader, found.answer, answer)
    return made
