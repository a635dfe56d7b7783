"""Small FP32 graphs, some of which oneDNN computes wrongly, and others like them. Isolated processes only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle.nn import functional

Body = Callable[[Any], Any]
SIDE = 8


def parameter(*shape: int) -> Any:
    values = paddle.nn.initializer.Uniform(0.3, 1.7)
    return paddle.static.create_parameter(list(shape), "float32", default_initializer=values)


def _resized(mode: str, after: int, **how: Any) -> Body:
    return lambda x: functional.interpolate(x, [after, after], mode=mode, **how)


def _scaled(factor: float) -> Body:
    return lambda x: functional.interpolate(x, scale_factor=factor)


def _operator(kind: str, **attributes: Any) -> Body:
    """`kind` by its name, with attributes that Paddle's functions don't offer."""

    def body(x: Any) -> Any:
        from paddle.base.layer_helper import LayerHelper

        helper = LayerHelper(kind)
        out = helper.create_variable_for_type_inference("float32")
        helper.append_op(type=kind, inputs={"X": x}, outputs={"Out": out}, attrs=attributes)
        return out

    return body


def _above_zero(x: Any) -> Any:
    return x.abs() + 0.5


def _averaged(**how: Any) -> Body:
    return lambda x: functional.avg_pool2d(x, **how)


def _behind_layer(*activations: Body) -> Body:
    def body(x: Any) -> Any:
        x = functional.linear(x.flatten(1), parameter(3 * SIDE**2, 6) - 1, parameter(6))
        for activation in activations:
            x = activation(x)
        return x

    return body


SHAPES = ([3, 1, 1], [1], [1, 3, 1, 1], [SIDE], [SIDE, SIDE])
SIZES = (
    *((8, 16), (8, 24), (8, 32), (8, 12), (8, 20), (8, 5), (8, 4), (8, 2), (8, 8)),
    *((9, 3), (7, 14), (12, 8)),
)
NEAREST: dict[str, tuple[int, Body]] = {
    f"nearest {before} to {after}": (before, _resized("nearest", after)) for before, after in SIZES
}
OTHER_MODES: dict[str, Body] = {
    f"{mode} to {after}, corners {corners}, mode {align}": _resized(
        mode, after, align_corners=corners, align_mode=align
    )
    for mode in ("bilinear", "bicubic")
    for after in (16, 5)
    for corners, align in ((True, 0), (False, 0), (False, 1))
}
ARITHMETIC: dict[str, Body] = {
    f"{name} {shape} {place}": (
        lambda x, f=f, shape=shape, first=place == "first": _joined(f, x, shape, first)
    )
    for name, f in {
        "divide": lambda left, right: left / _above_zero(right),
        "subtract": lambda left, right: left - right,
        "add": lambda left, right: left + right,
        "multiply": lambda left, right: left * right,
    }.items()
    for shape in SHAPES
    for place in ("first", "second")
}
OTHERS: dict[str, Body] = {
    "nearest by a free size": lambda x: functional.interpolate(x, paddle.shape(x)[2:] // 2),
    "nearest by one and a half": _scaled(1.5),
    "nearest by three": _scaled(3),
    "nearest with aligned corners": _operator(
        "nearest_interp_v2", out_h=13, out_w=13, interp_method="nearest", align_corners=True
    ),
    "nearest of Paddle 1": _operator(
        "nearest_interp", out_h=5, out_w=5, interp_method="nearest", align_corners=False
    ),
    "one divided": lambda x: 1.0 / _above_zero(x),
    "constant divided": lambda x: paddle.full([1], 2.0) / _above_zero(x),
    "mean divided": lambda x: x.mean([1, 2, 3], keepdim=True) / _above_zero(x),
    "maximum divided": lambda x: x.max([2, 3], keepdim=True) / _above_zero(x),
    "constant without dimensions": lambda x: x + paddle.full([], 1.3),
    "absolute value without dimensions": lambda x: x + paddle.abs(paddle.full([], -1.3)),
    "mean without dimensions halved": lambda x: x - x.mean() * 0.5,
    "average beyond the edge": _averaged(kernel_size=3, stride=2, ceil_mode=True, exclusive=False),
    "average of uneven padding": _averaged(kernel_size=3, stride=2, padding="SAME", exclusive=False),
    "average of padding alone": _averaged(
        kernel_size=2, stride=3, padding=1, ceil_mode=True, exclusive=False
    ),
    "average of a window larger than the picture": lambda x: functional.avg_pool2d(
        x[:, :, :2, :2], kernel_size=3, stride=2, exclusive=False
    ),
    "product of two vectors": lambda x: x * paddle.matmul(parameter(5), parameter(5)),
    "average within the edge": _averaged(kernel_size=2, stride=2, ceil_mode=True, exclusive=False),
    "softplus with a low threshold": lambda x: functional.softplus(x, 2.0, 1.0),
    "logarithms of likelihoods": lambda x: functional.log_softmax(x, 1),
    "clip by tensors": lambda x: paddle.clip(x, parameter(1) - 2, parameter(1)),
    "padded batch": lambda x: functional.pad(x, [0, 0, 1, 2, 1, 1, 2, 2], value=0.3),
    "product of a convolution": lambda x: paddle.matmul(x, x, transpose_y=True),
    "product of a pooling": lambda x: paddle.matmul(functional.max_pool2d(x, 2), parameter(3, 4, 5)),
    "two activations": _behind_layer(functional.gelu, functional.tanh),
    "absolute value of an activation": _behind_layer(paddle.abs, functional.sigmoid),
    "class of each pixel": lambda x: paddle.argmax(x, 1),
    "one activation": _behind_layer(functional.gelu),
}
CASES: dict[str, tuple[int, Body]] = NEAREST | {
    name: (SIDE, body) for name, body in (OTHER_MODES | ARITHMETIC | OTHERS).items()
}

FAR_APART = "scores that lie far apart"
"""Scores, and the logarithms of their likelihoods, of which Paddle's own kernel cuts off those below -64."""
CUT_OFF: dict[str, tuple[int, Body]] = {
    FAR_APART: (SIDE, lambda x: paddle.concat([x * 100, functional.log_softmax(x * 100, 1)], 1))
}


def feed(side: int) -> dict[str, Any]:
    return {"image": np.random.default_rng(0).standard_normal((2, 3, side, side)).astype("float32")}


def export(name: str, folder: Path) -> Any:
    """Writes the case behind a convolution; returns what Paddle's executor answers to `feed`."""
    side, body = (CASES | CUT_OFF)[name]
    paddle.enable_static()
    main, start, scope = paddle.static.Program(), paddle.static.Program(), paddle.static.Scope()
    with (
        paddle.static.scope_guard(scope),
        paddle.static.program_guard(main, start),
        paddle.utils.unique_name.guard(),
    ):
        image = paddle.static.data("image", [-1, 3, side, side])
        answer = body(paddle.static.nn.conv2d(image, 3, 1))
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(start)
        exact = executor.run(main, feed=feed(side), fetch_list=[answer])[0]
        paddle.static.save_inference_model(str(folder / "model"), [image], [answer], executor, program=main)
    return exact


def _joined(join: Callable[[Any, Any], Any], x: Any, shape: list[int], first: bool) -> Any:
    return join(parameter(*shape), x) if first else join(x, parameter(*shape))
