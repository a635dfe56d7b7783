"""Paddle tensors as NumPy arrays, without copying them.

Imports Paddle, so only functions of the isolated process import this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import paddle

from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.sequences import LENGTHS, offsets, packed
from paddle_int8.tasks.engines.paddle.private.tensors import (
    capsule,
    is_laid_out_by_onednn,
    new_tensor,
    type_of_tensor,
)

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Tensor

WIDEST_BLOCK = 16
"""Channels in a block of oneDNN's memory layouts (nChw16c); other channel counts may be padded in memory."""


class _Borrowed:
    """A Paddle tensor with the two methods that `np.from_dlpack` needs."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor

    def __dlpack__(self, stream: object = None) -> object:
        return capsule(self._tensor)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def view(tensor: Tensor) -> Array:
    """The tensor's memory as an array, valid until the program runs again."""
    if type_of_tensor(tensor) != paddle.float32 or 0 in tensor.shape():
        return np.array(tensor)
    return np.from_dlpack(_Borrowed(tensor))


def fed(feed: Feed, names: Iterable[str]) -> dict[str, Array | Tensor]:
    """A batch as an executor takes it: arrays as they are, sequences packed, with where each one begins."""
    tensors: dict[str, Array | Tensor] = {}
    for name in names:
        lengths = feed.get(name + LENGTHS)
        if lengths is None:
            tensors[name] = feed[name]
            continue
        tensors[name] = new_tensor(packed(feed[name], lengths), offsets(lengths))
    return tensors


def may_be_padded(tensor: Tensor) -> bool:
    """Whether the memory may hold more than the values. Their order does not matter for a threshold."""
    if not is_laid_out_by_onednn(tensor):
        return False
    shape = tensor.shape()
    return len(shape) > 2 and (len(shape) == 3 or shape[1] % WIDEST_BLOCK != 0)
