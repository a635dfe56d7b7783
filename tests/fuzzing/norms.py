"""Normalisations whose statistics and factors are close to those of a trained network."""

from __future__ import annotations

from typing import Any

from paddle.nn import functional

from tests.fuzzing.draft import Draft


def _factors(parameters: Any, count: int) -> tuple[Any, Any]:
    return parameters.uniform((count,), 0.5, 1.5), parameters.normal((count,), 0.2)


def _batch_norm(parameters: Any, x: Any, data_format: str) -> Any:
    channels = x.shape[-1] if data_format[-1] == "C" and len(data_format) > 2 else x.shape[1]
    mean, variance = parameters.normal((channels,), 0.2), parameters.uniform((channels,), 0.7, 1.6)
    weight, bias = _factors(parameters, channels)
    return functional.batch_norm(x, mean, variance, weight, bias, training=False, data_format=data_format)


def _draw_batch_norm(draft: Draft) -> None:
    x = draft.pick(lambda shape: 2 <= len(shape) <= 5)
    rank = len(draft.shapes[x])
    first = {2: "NC", 3: "NCL", 4: "NCHW", 5: "NCDHW"}[rank]
    last = {2: "NC", 3: "NLC", 4: "NHWC", 5: "NDHWC"}[rank]
    draft.add("batch_norm", x, data_format=last if draft.random.random() < 0.1 else first)


def _layer_norm(parameters: Any, x: Any, dimensions: int) -> Any:
    shape = tuple(x.shape[-dimensions:])
    weight, bias = parameters.uniform(shape, 0.5, 1.5), parameters.normal(shape, 0.2)
    return functional.layer_norm(x, shape, weight, bias)


def _draw_layer_norm(draft: Draft) -> None:
    x = draft.pick(lambda shape: len(shape) >= 2 and shape[-1] >= 4)
    most = len(draft.shapes[x]) - 1
    draft.add("layer_norm", x, dimensions=draft.random.choice((1, 1, most)))


def _group_norm(parameters: Any, x: Any, groups: int) -> Any:
    return functional.group_norm(x, groups, 1e-5, *_factors(parameters, x.shape[1]))


def _draw_group_norm(draft: Draft) -> None:
    x = draft.pick(lambda shape: len(shape) == 4 and shape[1] % 4 == 0 and shape[2] * shape[3] >= 4)
    draft.add("group_norm", x, groups=draft.random.choice((1, 2, 4)))


def _instance_norm(parameters: Any, x: Any) -> Any:
    weight, bias = _factors(parameters, x.shape[1])
    return functional.instance_norm(x, weight=weight, bias=bias)


def _draw_instance_norm(draft: Draft) -> None:
    draft.add("instance_norm", draft.pick(lambda shape: len(shape) == 4 and shape[2] * shape[3] >= 8))


OPERATORS = {
    "batch_norm": (_batch_norm, _draw_batch_norm, 12),
    "layer_norm": (_layer_norm, _draw_layer_norm, 6),
    "group_norm": (_group_norm, _draw_group_norm, 1),
    "instance_norm": (_instance_norm, _draw_instance_norm, 1),
}
