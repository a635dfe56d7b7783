"""Layers and optimizers of networks that are trained here. Isolated process only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.private import raw

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Variable


def learning_rate_of(optimizer: object) -> str:
    """The name of the variable of a static program that holds the optimizer's learning rate."""
    return str(raw(optimizer)._global_learning_rate().name)


def groups_of(convolution: object) -> int:
    return int(raw(convolution)._groups)


def stride_of(convolution: object) -> int:
    """The first of a convolution's strides."""
    return int(raw(convolution)._stride[0])


def set_momentum(norm: object, momentum: float) -> None:
    raw(norm)._momentum = momentum


def epsilon_of(norm: object) -> float:
    return float(raw(norm)._epsilon)


def set_epsilon(norm: object, epsilon: float) -> None:
    raw(norm)._epsilon = epsilon


def statistics_of(norm: object) -> tuple[Variable, Variable]:
    """The variables that hold a BatchNorm's mean and variance."""
    return raw(norm)._mean, raw(norm)._variance
