"""Tensors, which hold the values of variables. Isolated process only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.private import raw

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array
    from paddle_int8.tasks.engines.paddle.types import NativeType, Tensor


def new_tensor(values: Array, offsets: Sequence[int] | None = None) -> Tensor:
    """A tensor on the CPU. offsets: where each sequence begins, and where the last one ends."""
    import paddle
    from paddle.base.core import LoDTensor

    tensor: Tensor = LoDTensor()
    tensor.set(values, paddle.CPUPlace())
    if offsets is not None:
        tensor.set_lod([list(offsets)])
    return tensor


def is_filled(tensor: Tensor) -> bool:
    return bool(raw(tensor)._is_initialized())


def type_of_tensor(tensor: Tensor) -> NativeType:
    native: NativeType = raw(tensor)._dtype()
    return native


def is_laid_out_by_onednn(tensor: Tensor) -> bool:
    return bool(raw(tensor)._layout() == "ONEDNN")


def capsule(tensor: Tensor) -> object:
    """The tensor's memory for `np.from_dlpack`."""
    return raw(tensor)._to_dlpack()
