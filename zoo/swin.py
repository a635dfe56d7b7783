"""A small Swin Transformer, trained on Fashion-MNIST.

It imports Paddle, so only functions that run in an isolated process may import this module.
Source: Liu et al. 2021, arXiv:2103.14030. There the published sizes have four stages and windows of 7.
"""

from __future__ import annotations

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional

from paddle_int8.tasks.contracts.arrays import Array

FAR_BELOW = -100.0
"""The number added to the attention scores of patches that are no neighbours, as in the published code."""


class Swin(nn.Layer):  # type: ignore[misc]  # Paddle has no types
    """Maps pictures [N, 3, side, side] to scores [N, classes].

    depths: how many blocks each stage has; those of odd places shift their windows. Behind each stage but the
    last the sides are halved and the channels doubled.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        side: int,
        patch: int = 4,
        width: int = 48,
        depths: tuple[int, ...] = (2, 2),
        heads: tuple[int, ...] = (3, 6),
        window: int = 4,
    ) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2D(3, width, patch, patch), nn.LayerNorm(width)
        stages: list[nn.Layer] = []
        rows = side // patch
        for index, (depth, attending) in enumerate(zip(depths, heads, strict=True)):
            if index:
                stages.append(Merging(width))
                rows, width = rows // 2, 2 * width
            shifts = (0 if place % 2 == 0 or rows <= window else window // 2 for place in range(depth))
            stages += [Block(width, attending, rows, min(window, rows), shift) for shift in shifts]
        self.stages = nn.Sequential(*stages)
        self.last, self.answers = nn.LayerNorm(width), nn.Linear(width, num_classes)

    def forward(self, image: paddle.Tensor) -> paddle.Tensor:
        patches = self.norm(self.patches(image).transpose([0, 2, 3, 1]))
        return self.answers(self.last(self.stages(patches)).mean([1, 2]))


class Block(nn.Layer):  # type: ignore[misc]
    """Attention in shifted windows and two layers, each with its norm in front and a shortcut around it."""

    def __init__(self, width: int, heads: int, rows: int, window: int, shift: int) -> None:
        super().__init__()
        self.before, self.behind = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads, rows, window, shift)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, patches: paddle.Tensor) -> paddle.Tensor:
        patches = patches + self.attention(self.before(patches))
        return patches + self.narrow(functional.gelu(self.widen(self.behind(patches))))


class WindowAttention(nn.Layer):  # type: ignore[misc]
    """Attention among the patches of each window, with a learned bias for each difference of places.

    shift: by how many patches the windows are shifted; those that then hang over the border wrap around, and
    what was no neighbour before is masked.
    """

    def __init__(self, width: int, heads: int, rows: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.rows, self.window, self.shift = heads, rows, window, shift
        self.inputs, self.outputs = nn.Linear(width, 3 * width), nn.Linear(width, width)
        normal = nn.initializer.TruncatedNormal(std=0.02)
        self.bias = self.create_parameter([(2 * window - 1) ** 2, heads], default_initializer=normal)
        self.register_buffer("places", paddle.to_tensor(differences(window)), persistable=False)
        if shift:
            self.register_buffer("mask", paddle.to_tensor(mask(rows, window, shift)), persistable=False)

    def forward(self, patches: paddle.Tensor) -> paddle.Tensor:
        side, across, size = self.window, self.rows // self.window, self.window**2
        width = patches.shape[-1]
        if self.shift:
            patches = paddle.roll(patches, [-self.shift] * 2, [1, 2])
        cut = patches.reshape([-1, across, side, across, side, width]).transpose([0, 1, 3, 2, 4, 5])
        mixed = self._attend(cut.reshape([-1, size, width]), width)
        joined = self.outputs(mixed).reshape([-1, across, across, side, side, width])
        joined = joined.transpose([0, 1, 3, 2, 4, 5]).reshape([-1, self.rows, self.rows, width])
        return paddle.roll(joined, [self.shift] * 2, [1, 2]) if self.shift else joined

    def _attend(self, windows: paddle.Tensor, width: int) -> paddle.Tensor:
        size, each = self.window**2, width // self.heads
        parts = self.inputs(windows).reshape([-1, size, 3, self.heads, each]).transpose([2, 0, 3, 1, 4])
        query, key, value = parts.unbind(0)
        scores = paddle.matmul(query * each**-0.5, key, transpose_y=True)
        bias = self.bias.index_select(self.places).reshape([size, size, self.heads]).transpose([2, 0, 1])
        scores = scores + bias.unsqueeze(0)
        if self.shift:
            count = (self.rows // self.window) ** 2
            scores = scores.reshape([-1, count, self.heads, size, size]) + self.mask
            scores = scores.reshape([-1, self.heads, size, size])
        mixed = paddle.matmul(functional.softmax(scores), value)
        return mixed.transpose([0, 2, 1, 3]).reshape([-1, size, width])


class Merging(nn.Layer):  # type: ignore[misc]
    """Joins each four neighbouring patches into one with twice the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.reduce = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias_attr=False)

    def forward(self, patches: paddle.Tensor) -> paddle.Tensor:
        quarters = [patches[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
        return self.reduce(self.norm(paddle.concat(quarters, -1)))


def differences(window: int) -> Array:
    """Which bias each pair of patches of a window has, by their difference of places: [window ** 4] int64."""
    row, column = np.divmod(np.arange(window**2), window)
    apart = [each[:, None] - each[None, :] + window - 1 for each in (row, column)]
    places: Array = (apart[0] * (2 * window - 1) + apart[1]).reshape(-1).astype(np.int64)
    return places


def mask(rows: int, window: int, shift: int) -> Array:
    """What is added to the scores of shifted windows, [windows, 1, window ** 2, window ** 2] float32."""
    part = np.zeros(rows, np.int64)
    part[-window:-shift], part[-shift:] = 1, 2
    region = part[:, None] * 3 + part[None, :]
    across = rows // window
    cut = region.reshape(across, window, across, window).transpose(0, 2, 1, 3).reshape(across**2, window**2)
    apart = cut[:, :, None] != cut[:, None, :]
    return np.where(apart, np.float32(FAR_BELOW), np.float32(0))[:, None]
