"""Operators of two operands: activations, parameters or numbers, on either side, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import paddle

from tests.fuzzing.draft import Draft, ImpossibleError
from tests.fuzzing.graphs import Shape

FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "maximum": paddle.maximum,
    "minimum": paddle.minimum,
    "pow": lambda x, y: paddle.pow(x, y),
}
SHARES = (
    ("add",) * 8 + ("multiply",) * 4 + ("subtract",) * 3 + ("divide",) * 3 + ("maximum", "minimum", "pow")
)


def _safe(kind: str, x: Any, y: Any) -> Any:
    """The function where it has moderate values."""
    if kind == "divide":
        y = paddle.abs(y) + 0.5 if isinstance(y, paddle.static.Variable) else abs(y) + 0.5
    if kind == "pow":
        x = paddle.abs(x) + 0.3 if isinstance(x, paddle.static.Variable) else abs(x) + 0.3
        y = paddle.tanh(y) if isinstance(y, paddle.static.Variable) else y
    return FUNCTIONS[kind](x, y)


def _binary(_: Any, x: Any, y: Any, kind: str) -> Any:
    return _safe(kind, x, y)


def _broadcast(shape: Shape, other: Shape) -> bool:
    return len(shape) == len(other) and all(a == b or 1 in (a, b) for a, b in zip(shape, other, strict=True))


def _draw_binary(draft: Draft) -> None:
    x = draft.pick()
    shape = draft.shapes[x]
    y = draft.another(x, lambda other: _broadcast(shape, other))
    draft.add("binary", x, y, kind=draft.random.choice(SHARES))


def _draw_residual(draft: Draft) -> None:
    x = draft.pick()
    shape = draft.shapes[x]
    y = draft.another(x, lambda other: other == shape)
    draft.add("binary", x, y, kind=draft.random.choice(("add", "add", "add", "subtract", "multiply")))


def _with_parameter(parameters: Any, x: Any, kind: str, shape: Shape, first: bool) -> Any:
    values = parameters.uniform(tuple(shape), 0.3, 1.7)
    if first and kind == "pow":
        return _safe("multiply", values, x)
    return _safe(kind, *((values, x) if first else (x, values)))


def _draw_with_parameter(draft: Draft) -> None:
    random, x = draft.random, draft.pick(lambda shape: len(shape) >= 2)
    sides = draft.shapes[x][1:]
    shapes: list[Shape] = [(1,), sides[-1:], sides, (sides[0], *(1 for _ in sides[1:]))]
    shapes += [(1, *shape) for shape in shapes[2:]]
    shape, first = random.choice(shapes), random.random() < 0.4
    draft.add("with_parameter", x, kind=random.choice(SHARES), shape=shape, first=first)


def _with_number(_: Any, x: Any, kind: str, number: float, first: bool) -> Any:
    if kind in ("maximum", "minimum"):
        number = paddle.full([1], number)
    if first and kind == "pow":
        kind = "multiply"
    return _safe(kind, *((number, x) if first else (x, number)))


def _draw_with_number(draft: Draft) -> None:
    random = draft.random
    settings = {"number": random.choice((0.5, 2.0, -1.5, 1.0)), "first": random.random() < 0.4}
    draft.add("with_number", draft.pick(), kind=random.choice(SHARES), **settings)


def _draw_gate(draft: Draft) -> None:
    """Squeeze and excite: what a picture's channels are multiplied with."""
    x = draft.pick(lambda shape: len(shape) == 4 and shape[1] >= 3)
    channels, random = draft.shapes[x][1], draft.random
    layer = {"kernel": [1, 1], "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "data_format": "NCHW"}
    pooled = draft.add("adaptive_pool2d", x, kind="avg", size=1)
    few = draft.add("conv2d", pooled, channels=4, bias=random.random() < 0.7, **layer)
    few = draft.add(random.choice(("relu", "swish")), few)
    many = draft.add("conv2d", few, channels=channels, bias=random.random() < 0.7, **layer)
    gate = draft.add(random.choice(("sigmoid", "hardsigmoid")), many)
    draft.add("binary", *random.choice(((x, gate), (gate, x))), kind="multiply")


def _draw_attention(draft: Draft) -> None:
    """Heads over steps, some with a mask of what ids are."""
    random, x = draft.random, draft.pick(lambda shape: len(shape) == 3 and shape[2] % 2 == 0)
    _, steps, width = draft.shapes[x]
    heads = random.choice((1, 2))
    apart = {"shape": [0, steps, heads, width // heads]}
    parts = []
    for _ in range(3):
        part = draft.add(
            "reshape", draft.add("linear", x, outputs=width, bias=random.random() < 0.7), **apart
        )
        parts.append(draft.add("transpose", part, order=[0, 2, 1, 3]))
    query, key, value = parts
    scores = draft.add("matmul", query, key, transpose_x=False, transpose_y=True)
    masks = [name for name, shape in draft.ids.items() if shape[1:] == (steps,)]
    if masks and random.random() < 0.7:
        scores = draft.add("mask", scores, random.choice(masks))
    shares = draft.add("softmax", scores, axis=-1)
    mixed = draft.add("matmul", shares, value, transpose_x=False, transpose_y=False)
    mixed = draft.add("reshape", draft.add("transpose", mixed, order=[0, 2, 1, 3]), shape=[0, steps, width])
    answer = draft.add("linear", mixed, outputs=width, bias=True)
    if random.random() < 0.7:
        answer = draft.add("binary", x, answer, kind="add")
        draft.add("layer_norm", answer, dimensions=1)


def _mask(_: Any, scores: Any, ids: Any) -> Any:
    hidden = (ids > 14).astype("float32").unsqueeze([1, 2])
    return scores + hidden * -1e4


def _draw_mask(draft: Draft) -> None:
    raise ImpossibleError("drawn with an attention only")


def _draw_twins(draft: Draft) -> None:
    """A layer's weights once more, on another tensor or on its own answer."""
    layers = [node for node in draft.nodes if node.operator in ("conv2d", "linear", "matmul_stored")]
    if not layers:
        raise ImpossibleError("no layer yet")
    node = draft.random.choice(layers)
    rank, axis = len(draft.shapes[node.inputs[0]]), 1 if node.operator == "conv2d" else -1
    width = draft.shapes[node.inputs[0]][axis]
    x = draft.pick(lambda shape: len(shape) == rank and shape[axis] == width)
    draft.add(node.operator, x, stored=node.stored, **node.settings)


OPERATORS = {
    "binary": (_binary, _draw_binary, 14),
    "residual": (_binary, _draw_residual, 12),
    "with_parameter": (_with_parameter, _draw_with_parameter, 8),
    "with_number": (_with_number, _draw_with_number, 5),
    "gate": (None, _draw_gate, 3),
    "attention": (None, _draw_attention, 3),
    "mask": (_mask, _draw_mask, 0),
    "twins": (None, _draw_twins, 4),
}
