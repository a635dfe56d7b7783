"""A deep network grown from a shallow one, which learns the same pictures in a fraction of the time.

The shallow network has the first block of each stage (ResNet), or its first convolution (VGG with batch
norm). The layers that it lacks start as the identity, so the deep network begins where the shallow one ended.
Source: Chen, Goodfellow & Shlens 2016, Net2Net, arXiv:1511.05641, section 2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from paddle import nn
from paddle.vision.models.resnet import ResNet
from paddle.vision.models.vgg import VGG
from scipy.stats import norm

from paddle_int8.tasks.contracts.errors import TrainingError
from paddle_int8.tasks.engines.paddle.private.networks import epsilon_of, statistics_of

Put = Callable[[Any, npt.NDArray[np.float64]], None]
Weights = Mapping[str, npt.NDArray[np.float32]]


def shallow(network: Any) -> Any:
    """`network` with every layer but the first of each stage replaced by nothing; names stay as they are.

    Raises: TrainingError when the architecture is neither ResNet's nor VGG's with batch norm.
    """
    for layers, place in list(_later(network)):
        layers[place] = nn.Identity()
    return network


def deepen(network: Any, weights: Weights, put: Put) -> None:
    """Has `put(variable, value)` give `network` the weights of its shallow form, and identities for the rest.

    Residual blocks are the identity where their last batch norm multiplies by zero, so put that first.
    """
    for name, variable in network.state_dict().items():
        if name in weights:
            put(variable, weights[name].astype(np.float64))
    if isinstance(network, VGG):
        _continue_stages(network, weights, put)


def _later(network: Any) -> Iterator[tuple[Any, int]]:
    """The layers after the first of each stage: what holds them, and their places in it."""
    if isinstance(network, ResNet):
        for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
            yield from ((stage, place) for place in range(1, len(stage)))
    elif isinstance(network, VGG) and any(isinstance(layer, nn.BatchNorm2D) for layer in network.features):
        first = True
        for place, layer in enumerate(network.features):
            if isinstance(layer, nn.MaxPool2D):
                first = True
                continue
            if not first:
                yield network.features, place
            first = first and not isinstance(layer, nn.ReLU)
    else:
        raise TrainingError(
            found=f"`shallow` for a {type(network).__name__} without the blocks to leave out",
            required="a ResNet, or a VGG with `batch_norm: true`",
            remedy="remove `shallow` from `model.arguments`",
        )


def _continue_stages(network: Any, weights: Weights, put: Put) -> None:
    """Convolutions that pass on what they get, and batch norms that undo their own normalisation of it."""
    later = {place for _, place in _later(network)}
    for place, layer in enumerate(network.features):
        if isinstance(layer, nn.BatchNorm2D) and place not in later:
            name = f"features.{place}"
            mean, variance = rectified_moments(weights[f"{name}.bias"], weights[f"{name}.weight"])
        elif isinstance(layer, nn.Conv2D) and place in later:
            kernel = np.zeros(layer.weight.shape)
            channels = np.arange(len(kernel))
            kernel[channels, channels, kernel.shape[2] // 2, kernel.shape[3] // 2] = 1.0
            put(layer.weight, kernel)
        elif isinstance(layer, nn.BatchNorm2D):
            put(layer.bias, mean)
            put(layer.weight, np.sqrt(variance + epsilon_of(layer)))
            for statistic, given in zip(statistics_of(layer), (mean, variance), strict=True):
                put(statistic, given)


def rectified_moments(
    mean: npt.NDArray[np.floating[Any]], deviation: npt.NDArray[np.floating[Any]]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and variance of max(x, 0) for normally distributed x, of each channel.

    A batch norm's output before the ReLU has its shift for a mean and its scale for a deviation.
    """
    mean, deviation = mean.astype(np.float64), np.abs(deviation.astype(np.float64)) + 1e-12
    above, density = norm.cdf(mean / deviation), norm.pdf(mean / deviation)
    first = mean * above + deviation * density
    second = (mean**2 + deviation**2) * above + mean * deviation * density
    return first, np.maximum(second - first**2, 0.0)
