"""Layers and optimizers of networks that are trained here. Isolated process only."""

from __future__ import annotations

from typing import Any


def learning_rate_of(optimizer: Any) -> str:
    """The name of the variable of a static program that holds the optimizer's learning rate."""
    return str(optimizer._global_learning_rate().name)


def groups_of(convolution: Any) -> int:
    return int(convolution._groups)


def stride_of(convolution: Any) -> int:
    """The first of a convolution's strides."""
    return int(convolution._stride[0])


def set_momentum(norm: Any, momentum: float) -> None:
    norm._momentum = momentum


def epsilon_of(norm: Any) -> float:
    return float(norm._epsilon)


def set_epsilon(norm: Any, epsilon: float) -> None:
    norm._epsilon = epsilon


def statistics_of(norm: Any) -> tuple[Any, Any]:
    """The variables that hold a BatchNorm's mean and variance."""
    return norm._mean, norm._variance
