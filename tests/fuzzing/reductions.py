"""Reductions along axes, and operators that answer with a class."""

from __future__ import annotations

from typing import Any

import paddle

from tests.fuzzing.draft import Draft

FUNCTIONS = {
    "mean": paddle.mean,
    "max": paddle.max,
    "min": paddle.min,
    "sum": lambda x, axes, keep: paddle.sum(x, axes, keepdim=keep) * 0.1,
}


def _reduce(_: Any, x: Any, kind: str, axes: list[int], keep: bool) -> Any:
    return FUNCTIONS[kind](x, axes, keep)


def _draw_reduce(draft: Draft) -> None:
    random, x = draft.random, draft.pick(lambda shape: len(shape) >= 3)
    rank = len(draft.shapes[x])
    axes = random.choice(([rank - 1], [1], list(range(2, rank))))
    kind = random.choice(("mean", "mean", "mean", "max", "min", "sum"))
    draft.add("reduce", x, kind=kind, axes=axes, keep=random.random() < 0.5)


def _argmax(_: Any, x: Any, axis: int) -> Any:
    return paddle.argmax(x, axis)


def _draw_argmax(draft: Draft) -> None:
    draft.add("argmax", draft.pick(lambda shape: len(shape) >= 2 and shape[-1] > 1), axis=-1)


OPERATORS = {
    "reduce": (_reduce, _draw_reduce, 6),
    "argmax": (_argmax, _draw_argmax, 1),
}
