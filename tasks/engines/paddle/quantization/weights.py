"""Rounds weights better than to the nearest: `adaround` and `bias_correction`.

What PaddleSlim 2.6 does under these names, in both layouts:

- `adaround` trains with the layer's outputs fed in as constants, so that only its regulariser has a
  gradient; it stores weights that are not integers (`offline`), or quantizes its integers once more (`qdq`,
  which destroys the model: SQNR 16 to -12 dB on a small MobileNet-V1).
- `bias_correction` adds one channel's mean error to the weights of others (`offline`), or is not passed on
  (`qdq`).

Here weights are put on the integer grid before PaddleSlim rounds them, which then changes nothing. So both
options mean the same in both layouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.engines.paddle.blocks import is_skipped
from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS
from paddle_int8.tasks.engines.paddle.quantization.rounding import (
    least_output_error,
    mean_preserving,
    nearest,
)

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Operator, Program


LEVELS = 127
PRODUCTS = ("mul", "matmul", "matmul_v2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Roundable:
    """An operator whose weight can be rounded by choice.

    Its weight is [O, I / groups, kH, kW] for a convolution, else [I, O].
    `strides` to `groups` are a convolution's; `paddings` is top, bottom, left, right.
    """

    weight: str
    source: str
    kind: Literal["convolution", "product"]
    strides: tuple[int, int] = (1, 1)
    paddings: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1


def roundable(program: Program, weights: set[str]) -> list[Roundable]:
    """The operators of `program` whose weights can be rounded by choice, each weight once.

    Not among them, and so rounded to the nearest, are skipped operators, transposed operands, and transposed,
    channels-last and `SAME` convolutions.
    """
    found: dict[str, Roundable] = {}
    for op in program.global_block().ops:
        if is_skipped(op):
            continue
        layer = _convolution(op) if op.type in CONVOLUTIONS else _product(op) if op.type in PRODUCTS else None
        if layer is not None and layer.weight in weights and layer.source not in weights:
            found.setdefault(layer.weight, layer)
    return list(found.values())


def _convolution(op: Operator) -> Roundable | None:
    if op.attr("data_format") == "NHWC" or op.attr("padding_algorithm") == "SAME":
        return None
    pads = list(op.attr("paddings")) if op.attr("padding_algorithm") != "VALID" else [0, 0]
    top, bottom, left, right = pads if len(pads) == 4 else (pads[0], pads[0], pads[1], pads[1])
    return Roundable(
        weight=op.input("Filter")[0],
        source=op.input("Input")[0],
        kind="convolution",
        strides=tuple(op.attr("strides")),
        paddings=(top, bottom, left, right),
        dilations=tuple(op.attr("dilations")),
        groups=op.attr("groups"),
    )


def _product(op: Operator) -> Roundable | None:
    flags = ("trans_x", "trans_y", "transpose_X", "transpose_Y")
    if any(op.has_attr(flag) and op.attr(flag) for flag in flags):
        return None
    return Roundable(weight=op.input("Y")[0], source=op.input("X")[0], kind="product")


class Grams:
    """Sums of x x^T over the inputs x of each layer: float32 [groups, n, n], n weights an output."""

    def __init__(self) -> None:
        self._sums: dict[str, Array] = {}
        self._rows: dict[str, int] = {}

    def add(self, layer: Roundable, values: Array, weight_shape: tuple[int, ...]) -> None:
        """Adds a batch of the layer's input: [N, C, H, W] of a convolution, else [..., I]."""
        for rows in _rows(layer, values, weight_shape):
            self._sums[layer.weight] = self._sums.get(layer.weight, 0) + rows.transpose(0, 2, 1) @ rows
            self._rows[layer.weight] = self._rows.get(layer.weight, 0) + rows.shape[1]

    def mean(self, layer: Roundable) -> Array | None:
        """The mean of x x^T over the inputs of a layer; None when it had no input."""
        if not self._rows.get(layer.weight):
            return None
        mean: Array = self._sums[layer.weight] / self._rows[layer.weight]
        return mean


def _rows(layer: Roundable, values: Array, weight_shape: tuple[int, ...]) -> Iterator[Array]:
    """Yields the inputs of each output value, as rows: [groups, rows, n].

    Example: a convolution has a kernel of 3 x 3 over 8 channels, one group, and 10 x 10 output values a
    picture. Every picture gives [1, 100, 72]: a row holds the 72 inputs of one output value.
    """
    if layer.kind == "product":
        yield values.reshape(1, -1, weight_shape[0])
        return
    height, width = weight_shape[2:]
    top, bottom, left, right = layer.paddings
    down, across = layer.dilations
    step_y, step_x = layer.strides
    for image in values:
        padded = np.pad(image, ((0, 0), (top, bottom), (left, right)))
        field = (down * (height - 1) + 1, across * (width - 1) + 1)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (1, *field))
        windows = windows[:, ::step_y, ::step_x, 0, ::down, ::across]
        channels, rows, columns = windows.shape[:3]
        grouped = windows.reshape(layer.groups, channels // layer.groups, rows, columns, height, width)
        yield grouped.transpose(0, 2, 3, 1, 4, 5).reshape(layer.groups, rows * columns, -1)


def rounded_weight(
    weight: Array,
    scale: float | list[float],
    *,
    axis: int,
    gram: Array | None,
    keep_mean: bool,
) -> Array:
    """`weight` on the grid of its scale, of the same type and shape.

    scale: one threshold, or one for each output along `axis`. gram: [groups, n, n] to choose by, or None.
    """
    outputs_first = np.moveaxis(weight, axis, 0).astype(np.float64)
    table = outputs_first.reshape(len(outputs_first), -1)
    step = np.maximum(np.reshape(scale, (-1, 1)), 1e-8) / LEVELS
    steps = table / step
    rounded = mean_preserving(steps) if keep_mean else nearest(steps)
    if gram is not None:
        share = len(steps) // len(gram)
        for group, seen in enumerate(gram):
            rows = slice(group * share, (group + 1) * share)
            rounded[rows] = least_output_error(steps[rows], rounded[rows], seen.astype(np.float64))
    on_grid = np.clip(rounded, -LEVELS, LEVELS) * step
    return np.moveaxis(on_grid.reshape(outputs_first.shape), 0, axis).astype(weight.dtype)
