"""Layers with weights, and products of activations."""

from __future__ import annotations

from math import prod
from typing import Any

import paddle
from paddle.nn import functional

from tests.fuzzing.draft import Draft, ImpossibleError

CHANNELS = (1, 3, 4, 8, 12, 16)
LAST = ("NHWC", "NLC", "NDHWC")


def _convolution(parameters: Any, x: Any, transposed: bool, **settings: Any) -> Any:
    channels, kernel, bias = settings.pop("channels"), settings.pop("kernel"), settings.pop("bias")
    groups, layout = settings["groups"], settings["data_format"]
    inputs = x.shape[-1] if layout in LAST else x.shape[1]
    shape = (inputs, channels // groups, *kernel) if transposed else (channels, inputs // groups, *kernel)
    weight = parameters.kaiming(shape, inputs // groups * prod(kernel))
    offset = parameters.normal((channels,), 0.1) if bias else None
    name = f"conv{len(kernel)}d{'_transpose' * transposed}"
    return getattr(functional, name)(x, weight, offset, **settings)


def _forward(parameters: Any, x: Any, **settings: Any) -> Any:
    return _convolution(parameters, x, transposed=False, **settings)


def _transposed(parameters: Any, x: Any, **settings: Any) -> Any:
    return _convolution(parameters, x, transposed=True, **settings)


def _draw_convolution(draft: Draft, operator: str, layout: str, *, plain: bool = False) -> None:
    random, dimensions = draft.random, len(layout) - 2
    x = draft.pick(lambda shape: len(shape) == len(layout))
    shape = draft.shapes[x]
    channels, spatial = (shape[-1], shape[1:-1]) if layout in LAST else (shape[1], shape[2:])
    groups, out = 1, random.choice(CHANNELS)
    kind = random.random()
    if kind < 0.2:  # depthwise, some with several outputs a channel
        groups, out = channels, channels * random.choice((1, 1, 1, 2))
    elif kind < 0.3 and channels % 2 == 0:
        groups, out = 2, random.choice((2, 4, 8, 12))
    kernel = [min(random.choice((1, 1, 2, 3, 3, 3, 5)), side + 2) for side in spatial]
    if random.random() < 0.8:
        kernel = [kernel[0]] * dimensions
    settings: dict[str, Any] = {
        "channels": out,
        "kernel": kernel,
        "stride": random.choice((1, 1, 1, 2, 3)),
        "padding": random.choice(([side // 2 for side in kernel], 0, 1, "SAME", "VALID")),
        "dilation": 1 if plain else random.choice((1, 1, 1, 1, 2)),
        "groups": groups,
        "bias": random.random() < 0.6,
        "data_format": layout,
    }
    if not plain and dimensions == 2 and random.random() < 0.1:
        settings["padding"] = [random.randint(0, 2) for _ in range(4)]
    if plain and random.random() < 0.3 and settings["stride"] > 1:
        settings["output_padding"] = 1
    draft.add(operator, x, **settings)


def _linear(parameters: Any, x: Any, outputs: int, bias: bool) -> Any:
    weight = parameters.kaiming((x.shape[-1], outputs), x.shape[-1])
    return functional.linear(x, weight, parameters.normal((outputs,), 0.1) if bias else None)


def _draw_linear(draft: Draft) -> None:
    x = draft.pick(lambda shape: 2 <= len(shape) <= 5)
    same = draft.shapes[x][-1] if draft.random.random() < 0.2 else draft.random.choice((4, 5, 8, 10, 16, 32))
    draft.add("linear", x, outputs=same, bias=draft.random.random() < 0.7)


def _mul(parameters: Any, x: Any, outputs: int, columns: int) -> Any:
    """The operator `mul` of Paddle 1's fully connected layers, which static programs still have."""
    weight = parameters.kaiming((prod(x.shape[columns:]), outputs), prod(x.shape[columns:]))
    helper = paddle.base.layer_helper.LayerHelper("mul")
    out = helper.create_variable_for_type_inference("float32")
    attributes = {"x_num_col_dims": columns, "y_num_col_dims": 1}
    helper.append_op(type="mul", inputs={"X": x, "Y": weight}, outputs={"Out": out}, attrs=attributes)
    return out + parameters.normal((outputs,), 0.1)


def _draw_mul(draft: Draft) -> None:
    x = draft.pick(lambda shape: 2 <= len(shape) <= 4 and prod(shape[1:]) <= 400)
    columns = draft.random.randint(1, len(draft.shapes[x]) - 1)
    draft.add("mul", x, outputs=draft.random.choice((4, 8, 10)), columns=columns)


def _matmul_stored(parameters: Any, x: Any, outputs: int, transposed: bool) -> Any:
    shape = (outputs, x.shape[-1]) if transposed else (x.shape[-1], outputs)
    return paddle.matmul(x, parameters.kaiming(shape, x.shape[-1]), transpose_y=transposed)


def _draw_matmul_stored(draft: Draft) -> None:
    x = draft.pick(lambda shape: 2 <= len(shape) <= 4)
    outputs = draft.random.choice((4, 8, 10, 16))
    draft.add("matmul_stored", x, outputs=outputs, transposed=draft.random.random() < 0.4)


def _stored_first(parameters: Any, x: Any, rows: int) -> Any:
    return paddle.matmul(parameters.kaiming((rows, x.shape[-2]), x.shape[-2]), x)


def _draw_stored_first(draft: Draft) -> None:
    x = draft.pick(lambda shape: 3 <= len(shape) <= 4)
    draft.add("stored_first", x, rows=draft.random.choice((3, 4, 8)))


def _matmul(_: Any, x: Any, y: Any, transpose_x: bool, transpose_y: bool) -> Any:
    summed = x.shape[-2] if transpose_x else x.shape[-1]
    return paddle.matmul(x, y, transpose_x=transpose_x, transpose_y=transpose_y) * (max(1, summed) ** -0.5)


def _draw_matmul(draft: Draft) -> None:
    random = draft.random
    x = draft.pick(lambda shape: 3 <= len(shape) <= 4)
    shape, flip_x, flip_y = draft.shapes[x], random.random() < 0.3, random.random() < 0.5
    summed = shape[-2] if flip_x else shape[-1]
    fits = [
        name
        for name, other in draft.shapes.items()
        if len(other) == len(shape)
        and other[:-2] == shape[:-2]
        and (other[-1] if flip_y else other[-2]) == summed
    ]
    if not fits:
        raise ImpossibleError("no second factor")
    draft.add("matmul", x, random.choice(fits), transpose_x=flip_x, transpose_y=flip_y)


def _bmm(_: Any, x: Any, y: Any) -> Any:
    return paddle.bmm(x, y) * (x.shape[-1] ** -0.5)


def _draw_bmm(draft: Draft) -> None:
    x = draft.pick(lambda shape: len(shape) == 3)
    rows = draft.shapes[x][-1]
    draft.add("bmm", x, draft.another(x, lambda shape: len(shape) == 3 and shape[1] == rows))


def _embedding(parameters: Any, ids: Any, width: int) -> Any:
    from tests.fuzzing.network import IDS

    return functional.embedding(ids, parameters.normal((IDS, width), 1.0))


def _draw_embedding(draft: Draft) -> None:
    if not draft.ids:
        raise ImpossibleError("no ids")
    draft.add("embedding", draft.random.choice(list(draft.ids)), width=draft.random.choice((4, 8, 12, 16)))


OPERATORS = {
    "conv2d": (_forward, lambda draft: _draw_convolution(draft, "conv2d", "NCHW"), 30),
    "conv2d_last": (_forward, lambda draft: _draw_convolution(draft, "conv2d_last", "NHWC"), 3),
    "conv1d": (_forward, lambda draft: _draw_convolution(draft, "conv1d", "NCL"), 4),
    "conv3d": (_forward, lambda draft: _draw_convolution(draft, "conv3d", "NCDHW"), 1),
    "conv2d_transpose": (
        _transposed,
        lambda draft: _draw_convolution(draft, "conv2d_transpose", "NCHW", plain=True),
        4,
    ),
    "linear": (_linear, _draw_linear, 16),
    "mul": (_mul, _draw_mul, 4),
    "matmul_stored": (_matmul_stored, _draw_matmul_stored, 4),
    "stored_first": (_stored_first, _draw_stored_first, 1),
    "matmul": (_matmul, _draw_matmul, 8),
    "bmm": (_bmm, _draw_bmm, 1),
    "embedding": (_embedding, _draw_embedding, 2),
}
