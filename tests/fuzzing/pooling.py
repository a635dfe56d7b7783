"""Pooling and resizing of pictures."""

from __future__ import annotations

from typing import Any

from paddle.nn import functional

from tests.fuzzing.draft import Draft


def _pool2d(_: Any, x: Any, kind: str, size: int, stride: int, **settings: Any) -> Any:
    if kind == "max":
        settings.pop("exclusive", None)
        return functional.max_pool2d(x, size, stride, **settings)
    return functional.avg_pool2d(x, size, stride, **settings)


def _draw_pool2d(draft: Draft) -> None:
    random = draft.random
    x = draft.pick(lambda shape: len(shape) == 4 and min(shape[2:]) >= 2)
    size, stride = random.choice(((2, 2), (3, 2), (3, 1), (2, 1)))
    draft.add(
        "pool2d",
        x,
        kind=random.choice(("max", "avg")),
        size=size,
        stride=stride,
        padding=random.choice((0, 0, 1)) if size == 3 else 0,
        ceil_mode=random.random() < 0.3,
        exclusive=random.random() < 0.7,
    )


def _adaptive_pool2d(_: Any, x: Any, kind: str, size: Any) -> Any:
    return (functional.adaptive_avg_pool2d if kind == "avg" else functional.adaptive_max_pool2d)(x, size)


def _draw_adaptive_pool2d(draft: Draft) -> None:
    random = draft.random
    x = draft.pick(lambda shape: len(shape) == 4)
    size = random.choice((1, 1, 1, 2, 3, [2, 1], [1, draft.shapes[x][3]]))
    draft.add("adaptive_pool2d", x, kind=random.choice(("avg", "avg", "max")), size=size)


def _pool1d(_: Any, x: Any, kind: str, size: int) -> Any:
    return (functional.avg_pool1d if kind == "avg" else functional.max_pool1d)(x, size)


def _draw_pool1d(draft: Draft) -> None:
    x = draft.pick(lambda shape: len(shape) == 3 and shape[2] >= 2)
    draft.add("pool1d", x, kind=draft.random.choice(("avg", "max")), size=2)


def _interpolate(_: Any, x: Any, **settings: Any) -> Any:
    return functional.interpolate(x, **settings)


def _draw_interpolate(draft: Draft) -> None:
    random = draft.random
    x = draft.pick(lambda shape: len(shape) == 4 and max(shape[2:]) <= 16)
    mode = random.choice(("nearest", "nearest", "bilinear", "bilinear", "bicubic"))
    settings: dict[str, Any] = {"mode": mode}
    if random.random() < 0.5:
        settings["scale_factor"] = random.choice((2, 2, 2, 3, 0.5, 1.5))
    else:
        settings["size"] = [
            max(1, side + random.choice((side, side, -side // 2, 1, -1))) for side in draft.shapes[x][2:]
        ]
    if mode == "bilinear":
        settings |= {"align_corners": random.random() < 0.5, "align_mode": random.choice((0, 1))}
    draft.add("interpolate", x, **settings)


def _pixel_shuffle(_: Any, x: Any, factor: int) -> Any:
    return functional.pixel_shuffle(x, factor)


def _draw_pixel_shuffle(draft: Draft) -> None:
    draft.add("pixel_shuffle", draft.pick(lambda shape: len(shape) == 4 and shape[1] % 4 == 0), factor=2)


def _channel_shuffle(_: Any, x: Any, groups: int) -> Any:
    return functional.channel_shuffle(x, groups)


def _draw_channel_shuffle(draft: Draft) -> None:
    draft.add("channel_shuffle", draft.pick(lambda shape: len(shape) == 4 and shape[1] % 2 == 0), groups=2)


OPERATORS = {
    "pool2d": (_pool2d, _draw_pool2d, 9),
    "adaptive_pool2d": (_adaptive_pool2d, _draw_adaptive_pool2d, 5),
    "pool1d": (_pool1d, _draw_pool1d, 1),
    "interpolate": (_interpolate, _draw_interpolate, 4),
    "pixel_shuffle": (_pixel_shuffle, _draw_pixel_shuffle, 1),
    "channel_shuffle": (_channel_shuffle, _draw_channel_shuffle, 1),
}
