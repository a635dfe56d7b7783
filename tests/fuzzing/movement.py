"""Operators that move values and compute nothing."""

from __future__ import annotations

from math import prod
from typing import Any

import paddle
from paddle.nn import functional

from tests.fuzzing.draft import Draft


def _reshape(_: Any, x: Any, shape: list[int]) -> Any:
    return paddle.reshape(x, shape)


def _draw_reshape(draft: Draft) -> None:
    """Two dimensions become one, or one becomes two; the batch stays."""
    random, x = draft.random, draft.pick(lambda shape: len(shape) >= 2)
    sides = list(draft.shapes[x][1:])
    place = random.randrange(len(sides))
    if len(sides) > 1 and random.random() < 0.6:
        place = min(place, len(sides) - 2)
        sides[place : place + 2] = [prod(sides[place : place + 2])]
    else:
        factor = next((n for n in (2, 3, 4) if sides[place] % n == 0), 1)
        sides[place : place + 1] = random.choice(
            ([factor, sides[place] // factor], [sides[place] // factor, factor])
        )
    draft.add("reshape", x, shape=[random.choice((0, -1)), *sides])


def _flatten(_: Any, x: Any, start: int, stop: int) -> Any:
    return paddle.flatten(x, start, stop)


def _draw_flatten(draft: Draft) -> None:
    x = draft.pick(lambda shape: len(shape) >= 3)
    start, rank = draft.random.choice((1, 1, 1, 2)), len(draft.shapes[x])
    draft.add("flatten", x, start=min(start, rank - 1), stop=-1)


def _transpose(_: Any, x: Any, order: list[int]) -> Any:
    return paddle.transpose(x, order)


def _draw_transpose(draft: Draft) -> None:
    x = draft.pick(lambda shape: len(shape) >= 3)
    order = list(range(1, len(draft.shapes[x])))
    draft.random.shuffle(order)
    draft.add("transpose", x, order=[0, *order])


def _squeeze(_: Any, x: Any, axis: int) -> Any:
    return paddle.squeeze(x, axis)


def _draw_squeeze(draft: Draft) -> None:
    x = draft.pick(lambda shape: len(shape) >= 3 and 1 in shape[1:])
    axes = [axis for axis, side in enumerate(draft.shapes[x]) if side == 1]
    draft.add("squeeze", x, axis=draft.random.choice(axes))


def _unsqueeze(_: Any, x: Any, axis: int) -> Any:
    return paddle.unsqueeze(x, axis)


def _draw_unsqueeze(draft: Draft) -> None:
    x = draft.pick(lambda shape: 2 <= len(shape) <= 4)
    draft.add("unsqueeze", x, axis=draft.random.randint(1, len(draft.shapes[x])))


def _concat(_: Any, *parts: Any, axis: int) -> Any:
    return paddle.concat(list(parts), axis)


def _draw_concat(draft: Draft) -> None:
    random, x = draft.random, draft.pick(lambda shape: len(shape) >= 2)
    shape = draft.shapes[x]
    axis = random.choice((1, 1, len(shape) - 1))
    rest = (*shape[:axis], *shape[axis + 1 :])

    def fits(other: tuple[int, ...]) -> bool:
        return len(other) == len(shape) and (*other[:axis], *other[axis + 1 :]) == rest

    parts = [x, *(draft.another(x, fits) for _ in range(random.choice((1, 1, 2))))]
    random.shuffle(parts)
    draft.add("concat", *parts, axis=axis)


def _split_part(_: Any, x: Any, parts: int, part: int, axis: int) -> Any:
    return paddle.split(x, parts, axis)[part]


def _draw_split(draft: Draft) -> None:
    """Some of the parts are read."""
    random = draft.random
    x = draft.pick(lambda shape: any(side > 1 and side % 2 == 0 for side in shape[1:]))
    axis = random.choice([axis for axis, side in enumerate(draft.shapes[x]) if axis and side % 2 == 0])
    for part in range(random.choice((1, 2))):
        draft.add("split", x, parts=2, part=part, axis=axis)


def _slice(_: Any, x: Any, axis: int, start: int, stop: int, step: int) -> Any:
    if step == 1:
        return paddle.slice(x, [axis], [start], [stop])
    return paddle.strided_slice(x, [axis], [start], [stop], [step])


def _draw_slice(draft: Draft) -> None:
    random, x = draft.random, draft.pick(lambda shape: max(shape[1:], default=1) > 1)
    shape = draft.shapes[x]
    axis = random.choice([axis for axis, side in enumerate(shape) if axis and side > 1])
    start = random.randrange(shape[axis])
    stop = random.randint(start + 1, shape[axis])
    draft.add("slice", x, axis=axis, start=start, stop=stop, step=random.choice((1, 1, 2)))


def _take(_: Any, x: Any, place: int) -> Any:
    return x[:, place]


def _draw_take(draft: Draft) -> None:
    x = draft.pick(lambda shape: len(shape) >= 3)
    draft.add("take", x, place=draft.random.choice((0, -1)))


def _stack(_: Any, *parts: Any, axis: int) -> Any:
    return paddle.stack(list(parts), axis)


def _draw_stack(draft: Draft) -> None:
    x = draft.pick(lambda shape: len(shape) <= 4)
    shape = draft.shapes[x]
    draft.add(
        "stack", x, draft.another(x, lambda other: other == shape), axis=draft.random.randint(1, len(shape))
    )


def _pad(_: Any, x: Any, sides: list[int], mode: str) -> Any:
    return functional.pad(x, sides, mode=mode, value=0.0)


def _draw_pad(draft: Draft) -> None:
    x = draft.pick(lambda shape: 3 <= len(shape) <= 4 and min(shape[2:]) >= 3)
    sides = [draft.random.randint(0, 2) for _ in range(2 * (len(draft.shapes[x]) - 2))]
    draft.add("pad", x, sides=sides, mode=draft.random.choice(("constant", "reflect", "replicate")))


def _tile(_: Any, x: Any, times: list[int]) -> Any:
    return paddle.tile(x, times)


def _draw_tile(draft: Draft) -> None:
    x = draft.pick(lambda shape: len(shape) >= 2)
    times = [1, *(draft.random.choice((1, 1, 2)) for _ in draft.shapes[x][1:])]
    draft.add("tile", x, times=times)


def _roll(_: Any, x: Any, shift: int, axis: int) -> Any:
    return paddle.roll(x, shift, axis)


def _draw_roll(draft: Draft) -> None:
    x = draft.pick(lambda shape: len(shape) >= 3)
    draft.add(
        "roll", x, shift=draft.random.choice((1, -1)), axis=draft.random.randint(1, len(draft.shapes[x]) - 1)
    )


OPERATORS = {
    "reshape": (_reshape, _draw_reshape, 6),
    "flatten": (_flatten, _draw_flatten, 4),
    "transpose": (_transpose, _draw_transpose, 6),
    "squeeze": (_squeeze, _draw_squeeze, 2),
    "unsqueeze": (_unsqueeze, _draw_unsqueeze, 2),
    "concat": (_concat, _draw_concat, 9),
    "split": (_split_part, _draw_split, 4),
    "slice": (_slice, _draw_slice, 4),
    "take": (_take, _draw_take, 2),
    "stack": (_stack, _draw_stack, 2),
    "pad": (_pad, _draw_pad, 2),
    "tile": (_tile, _draw_tile, 1),
    "roll": (_roll, _draw_roll, 1),
}
