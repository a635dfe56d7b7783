"""Paddle tensors as NumPy arrays, without copying them.

Imports Paddle, so only functions of the isolated process import this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle

from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.contracts.sequences import LENGTHS, offsets, packed

WIDEST_BLOCK = 16
"""Channels in a block of oneDNN's layouts (nChw16c); other channel counts may be padded in memory."""


class _Borrowed:
    """A Paddle tensor for `np.from_dlpack`, which wants the protocol's two methods."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def __dlpack__(self, stream: object = None) -> Any:
        return self._tensor._to_dlpack()

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def view(tensor: Any) -> npt.NDArray[Any]:
    """The tensor's memory as an array, valid until the program runs again."""
    if tensor._dtype() != paddle.float32 or 0 in tensor.shape():
        return np.array(tensor)
    return np.from_dlpack(_Borrowed(tensor))


def fed(feed: Feed, names: Iterable[str]) -> dict[str, Any]:
    """What an executor takes for a batch: arrays as they are, sequences packed, with where each begins."""
    tensors: dict[str, Any] = {}
    for name in names:
        lengths = feed.get(name + LENGTHS)
        if lengths is None:
            tensors[name] = feed[name]
            continue
        tensors[name] = paddle.base.core.LoDTensor()
        tensors[name].set(packed(feed[name], lengths), paddle.CPUPlace())
        tensors[name].set_lod([offsets(lengths)])
    return tensors


def may_be_padded(tensor: Any) -> bool:
    """Whether the memory may hold more than the values; their order doesn't matter to a threshold."""
    if tensor._layout() != "ONEDNN":
        return False
    shape = tensor.shape()
    return len(shape) > 2 and (len(shape) == 3 or shape[1] % WIDEST_BLOCK != 0)
