"""Grows a deep network from a shallow one, which learns the same pictures in a fraction of the time.

The shallow network has only the first block of each stage (ResNet), or the first convolution of each stage
(VGG with batch norm). The missing layers are then added as identities, so that the deep network starts where
the shallow one ended.
Source: Chen, Goodfellow & Shlens 2016, Net2Net, arXiv:1511.05641, section 2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from paddle import nn
from paddle.vision.models.resnet import ResNet
from paddle.vision.models.vgg import VGG
from scipy.stats import norm

from paddle_int8.tasks.contracts.errors import TrainingError
from paddle_int8.tasks.engines.paddle.private.networks import epsilon_of, statistics_of

if TYPE_CHECKING:
    import paddle

Put = Callable[["paddle.Tensor", npt.NDArray[np.float64]], None]
Weights = Mapping[str, npt.NDArray[np.float32]]


def shallow(network: nn.Layer) -> nn.Layer:
    """`network` without all layers but the first of each stage; the names of the others do not change.

    Raises: TrainingError when the architecture is neither ResNet's nor VGG's with batch norm.
    """
    for layers, place in list(_later(network)):
        layers[place] = nn.Identity()
    return network


def deepen(network: nn.Layer, weights: Weights, put: Put) -> None:
    """Gives `network` the weights of its shallow form, and makes its other layers identities.

    put: a function `put(variable, value)` that sets a weight.
    A residual block is the identity when its last batch norm multiplies by zero, so call
    `classifier.close_branches` first.
    """
    for name, variable in network.state_dict().items():
        if name in weights:
            put(variable, weights[name].astype(np.float64))
    if isinstance(network, VGG):
        _continue_stages(network, weights, put)


def _later(network: nn.Layer) -> Iterator[tuple[nn.Layer, int]]:
    """The layers after the first of each stage, as the container that holds one and its position there."""
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


def _continue_stages(network: nn.Layer, weights: Weights, put: Put) -> None:
    """Makes convolutions pass on their input, and batch norms undo their own normalisation."""
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
    mean: npt.NDArray[np.float32], deviation: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The mean and variance of max(x, 0) in each channel, for normally distributed x.

    The output of a batch norm, which a ReLU follows, has the shift as its mean and the scale as its
    deviation.
    """
    mean, deviation = mean.astype(np.float64), np.abs(deviation.astype(np.float64)) + 1e-12
    above, density = norm.cdf(mean / deviation), norm.pdf(mean / deviation)
    first = mean * above + deviation * density
    second = (mean**2 + deviation**2) * above + mean * deviation * density
    return first, np.maximum(second - first**2, 0.0)
