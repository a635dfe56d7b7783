"""Depthwise convolution for training on a CPU.

Paddle's own CPU kernels run a depthwise convolution as one small matrix product per channel, which is
most of MobileNet's training time; nine shifted multiply-adds over the whole batch are several times
faster and equal to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle


class ShiftedDepthwise(paddle.autograd.PyLayer):  # type: ignore[misc] # Paddle is not typed
    """3x3, padding 1. x: [N, C, H, W], weight: [C, 1, 3, 3]; returns [N, C, ceil(H/s), ceil(W/s)]."""

    @staticmethod
    def forward(context: Any, x: Any, weight: Any, stride: int) -> Any:
        padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
        kernel = weight.numpy()[:, 0]
        size = tuple((side - 1) // stride + 1 for side in x.shape[2:])
        out = np.zeros((*x.shape[:2], *size), np.float32)
        for row, column in np.ndindex(3, 3):
            out += _shifted(padded, row, column, size, stride) * kernel[None, :, row, column, None, None]
        context.saved = padded, kernel, size, stride
        return paddle.to_tensor(out)

    @staticmethod
    def backward(context: Any, gradient: Any) -> tuple[Any, Any]:
        padded, kernel, size, stride = context.saved
        upstream = gradient.numpy()
        to_input, to_kernel = np.zeros_like(padded), np.zeros_like(kernel)
        for row, column in np.ndindex(3, 3):
            view = _shifted(to_input, row, column, size, stride)
            view += upstream * kernel[None, :, row, column, None, None]
            seen = _shifted(padded, row, column, size, stride)
            to_kernel[:, row, column] = np.einsum("nchw,nchw->c", seen, upstream)
        return paddle.to_tensor(to_input[:, :, 1:-1, 1:-1]), paddle.to_tensor(to_kernel[:, None])


def _shifted(padded: Any, row: int, column: int, size: tuple[int, ...], stride: int) -> Any:
    height, width = size
    return padded[:, :, row : row + stride * height : stride, column : column + stride * width : stride]


def speed_up(model: Any) -> None:
    """Replaces the forward of every 3x3 depthwise convolution without bias; weights stay where they are."""
    for layer in model.sublayers():
        if isinstance(layer, paddle.nn.Conv2D) and _is_plain_depthwise(layer):
            layer.forward = _forward(layer)


def restore(model: Any) -> None:
    """Undoes `speed_up`, for export."""
    for layer in model.sublayers():
        layer.__dict__.pop("forward", None)


def _is_plain_depthwise(layer: Any) -> bool:
    once = ([1, 1], (1, 1), 1)
    return (
        layer._groups == layer._in_channels == layer._out_channels > 1
        and list(layer._kernel_size) == [3, 3]
        and layer._padding in once
        and layer._dilation in once
        and len(set(layer._stride)) == 1
        and layer.bias is None
    )


def _forward(layer: Any) -> Any:
    return lambda x: ShiftedDepthwise.apply(x, layer.weight, layer._stride[0])
