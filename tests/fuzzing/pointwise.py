"""Activations and other functions of one tensor, which act on each element or along one axis."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import paddle
from paddle.nn import functional

from tests.fuzzing.draft import Draft

FUNCTIONS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "relu": (functional.relu, 14),
    "relu6": (functional.relu6, 3),
    "sigmoid": (functional.sigmoid, 3),
    "tanh": (paddle.tanh, 2),
    "gelu": (functional.gelu, 3),
    "gelu_tanh": (lambda x: functional.gelu(x, approximate=True), 1),
    "swish": (functional.swish, 2),
    "silu": (functional.silu, 2),
    "mish": (functional.mish, 1),
    "hardswish": (functional.hardswish, 3),
    "hardsigmoid": (functional.hardsigmoid, 2),
    "elu": (functional.elu, 1),
    "selu": (functional.selu, 1),
    "softplus": (functional.softplus, 1),
    "softsign": (functional.softsign, 1),
    "log_sigmoid": (functional.log_sigmoid, 1),
    "hardtanh": (functional.hardtanh, 1),
    "abs": (paddle.abs, 1),
    "square": (lambda x: paddle.square(paddle.tanh(x)), 1),
    "sqrt": (lambda x: paddle.sqrt(paddle.abs(x) + 0.1), 1),
    "rsqrt": (lambda x: paddle.rsqrt(paddle.abs(x) + 0.5), 1),
    "exp": (lambda x: paddle.exp(paddle.tanh(x)), 1),
    "log": (lambda x: paddle.log(paddle.abs(x) + 0.5), 1),
    "sin": (paddle.sin, 1),
    "pow": (lambda x: paddle.pow(paddle.abs(x) + 0.2, 1.5), 1),
    "assign": (paddle.assign, 1),
    "cast": (lambda x: x.astype("float64").astype("float32"), 1),
}


def _apply(function: Callable[[Any], Any], _: Any, x: Any) -> Any:
    return function(x)


def _draw(name: str, draft: Draft) -> None:
    draft.add(name, draft.pick())


def _leaky_relu(_: Any, x: Any, slope: float) -> Any:
    return functional.leaky_relu(x, slope)


def _draw_leaky_relu(draft: Draft) -> None:
    draft.add("leaky_relu", draft.pick(), slope=draft.random.choice((0.01, 0.1, 0.3)))


def _prelu(parameters: Any, x: Any, each: bool) -> Any:
    return functional.prelu(x, parameters.uniform((x.shape[1] if each else 1,), 0.05, 0.4))


def _draw_prelu(draft: Draft) -> None:
    draft.add("prelu", draft.pick(lambda shape: len(shape) == 4), each=draft.random.random() < 0.5)


def _clip(_: Any, x: Any, low: float, high: float) -> Any:
    return paddle.clip(x, low, high)


def _draw_clip(draft: Draft) -> None:
    low, high = draft.random.choice(((0.0, 1.0), (-1.0, 1.0), (0.0, 6.0), (-0.5, 2.0)))
    draft.add("clip", draft.pick(), low=low, high=high)


def _scale(_: Any, x: Any, factor: float, bias: float, bias_first: bool) -> Any:
    return paddle.scale(x, factor, bias, bias_after_scale=not bias_first)


def _draw_scale(draft: Draft) -> None:
    random = draft.random
    bias = random.choice((0.0, 0.0, 0.3, -1.0))
    factor = random.choice((0.25, 0.5, -1.0, 2.0, 1.3))
    draft.add("scale", draft.pick(), factor=factor, bias=bias, bias_first=random.random() < 0.2)


def _softmax(_: Any, x: Any, axis: int) -> Any:
    return functional.softmax(x, axis)


def _log_softmax(_: Any, x: Any, axis: int) -> Any:
    """log_softmax of scores that lie less than 64 apart. Further apart, Paddle's own kernel cuts them off."""
    return functional.log_softmax(paddle.clip(x, -30, 30), axis)


def _draw_along(operator: str, draft: Draft) -> None:
    x = draft.pick(lambda shape: len(shape) >= 2 and max(shape[1:]) > 1)
    rank = len(draft.shapes[x])
    draft.add(operator, x, axis=draft.random.choice((-1, -1, draft.random.randint(1, rank - 1))))


def _dropout(_: Any, x: Any, share: float, mode: str) -> Any:
    return functional.dropout(x, share, training=False, mode=mode)


def _draw_dropout(draft: Draft) -> None:
    mode = draft.random.choice(("upscale_in_train", "downscale_in_infer"))
    draft.add("dropout", draft.pick(), share=draft.random.choice((0.1, 0.5)), mode=mode)


OPERATORS = {
    **{
        name: (partial(_apply, function), partial(_draw, name), n)
        for name, (function, n) in FUNCTIONS.items()
    },
    "leaky_relu": (_leaky_relu, _draw_leaky_relu, 3),
    "prelu": (_prelu, _draw_prelu, 1),
    "clip": (_clip, _draw_clip, 2),
    "scale": (_scale, _draw_scale, 5),
    "softmax": (_softmax, partial(_draw_along, "softmax"), 4),
    "log_softmax": (_log_softmax, partial(_draw_along, "log_softmax"), 1),
    "dropout": (_dropout, _draw_dropout, 3),
}
