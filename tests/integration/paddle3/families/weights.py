"""Random weights with which a network's answers say something about every layer.

A fresh network has batch norms that change nothing, and detectors begin with heads of nearly zero: the answer
is then nearly the same whatever came in. Runs in the environment of the model zoos.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from families import absent
from paddle import nn
from paddle.nn.layer.norm import _BatchNormBase

RANDOM = np.random.default_rng(0)
LEAST_GAIN = 0.5
"""Standard deviation of a weight times the square root of its inputs, under which it is drawn anew."""


def begin() -> None:
    """What comes before a zoo is imported. Weights are the same each time."""
    absent.replace()
    paddle.seed(0)


def pictures(height: int, width: int = 0, *, count: int = 2, channels: int = 3) -> Any:
    return RANDOM.standard_normal((count, channels, height, width or height)).astype("float32")


class Asked(nn.Layer):  # type: ignore[misc]
    """A network, and how it is asked: a function of it and of the inputs. Its answer is a list of tensors."""

    def __init__(self, network: Any, ask: Any) -> None:
        super().__init__()
        self.network, self.ask = network, ask

    def forward(self, *inputs: Any) -> Any:
        return flat(self.ask(self.network, *inputs))


def settled(network: Any, ask: Any, inputs: list[Any]) -> Any:
    """The network as a layer. Raises what the network raises when it is asked."""
    layer = Asked(network, ask)
    settle(layer, inputs)
    return layer


def settle(layer: Any, inputs: list[Any]) -> None:
    """Draws weights that are nearly zero anew, and gives each batch norm the statistics of what it reads."""
    layer.eval()
    for part in layer.sublayers(include_self=True):
        weight = getattr(part, "weight", None)
        if isinstance(part, nn.Conv2D | nn.Linear) and weight is not None:
            _draw(weight, fan_in=weight.shape[0] if isinstance(part, nn.Linear) else weight[0].size)
    hooks = [
        part.register_forward_pre_hook(_measure)
        for part in layer.sublayers()
        if isinstance(part, _BatchNormBase | nn.BatchNorm)
    ]
    with paddle.no_grad():
        layer(*map(paddle.to_tensor, inputs))
    for hook in hooks:
        hook.remove()


def _draw(weight: Any, fan_in: int) -> None:
    if float(weight.std()) * fan_in**0.5 < LEAST_GAIN:
        drawn = RANDOM.standard_normal(weight.shape) / fan_in**0.5
        weight.set_value(drawn.astype("float32"))


def _measure(norm: Any, inputs: tuple[Any, ...]) -> None:
    axes = [axis for axis in range(inputs[0].ndim) if axis != 1]
    norm._mean.set_value(inputs[0].mean(axes))
    norm._variance.set_value(inputs[0].var(axes) + 1e-2)


def flat(answer: Any) -> list[Any]:
    """The tensors of an answer, in order."""
    if answer is None:
        return []
    if not isinstance(answer, dict | list | tuple):
        return [answer]
    members = answer.values() if isinstance(answer, dict) else answer
    return [tensor for member in members for tensor in flat(member)]
