"""Networks whose channels were made unequal in range, with the same answers. Isolated processes only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional

SIDE, WIDTH = 32, 64
DECADES = 1.5
"""Factors lie between 10 to the power of minus this and 10 to the power of this."""
OUTLIER = 60
"""How many times as large as others the outlier channels of an encoder are."""


class LeftAlone(nn.Layer):  # type: ignore[misc] # Paddle has no types
    """What must not be equalised: ReLU6, an activation with two readers, an answer; and one pair that may."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.clipped, self.both = nn.Conv2D(3, 8, 3), nn.Conv2D(8, 8, 3), nn.Conv2D(8, 8, 3)
        self.last, self.answers = nn.Conv2D(8, 8, 3), nn.Linear(8, 10)

    def forward(self, image: Any) -> Any:
        clipped = self.clipped(functional.relu6(self.stem(image)))
        read_twice = functional.relu(clipped)
        last = functional.relu(self.last(functional.relu(self.both(read_twice))))
        return self.answers(last.mean([2, 3]) + read_twice.mean([2, 3])), last


class Encoder(nn.Layer):  # type: ignore[misc]
    """Two layers of attention over 64 patches, with the norms in front of the layers or behind them."""

    def __init__(self, *, norms_first: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2D(3, WIDTH, 4, 4)
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 4 * WIDTH, dropout=0.0, activation="gelu", normalize_before=norms_first
        )
        self.encoder, self.answers = nn.TransformerEncoder(layer, 2), nn.Linear(WIDTH, 10)

    def forward(self, image: Any) -> Any:
        rows = self.patches(image).flatten(2).transpose([0, 2, 1])
        return self.answers(self.encoder(rows).mean(axis=1))


def pictures(samples: int, seed: int) -> Any:
    """Smooth pictures [samples, 3, SIDE, SIDE]."""
    coarse = np.random.default_rng(seed).uniform(-1, 1, (samples, 3, SIDE // 4, SIDE // 4))
    return coarse.astype(np.float32).repeat(4, axis=2).repeat(4, axis=3)


def export_left_alone(folder: Path) -> None:
    paddle.disable_static()
    paddle.seed(0)
    network = LeftAlone()
    for layer in network.sublayers():
        layer.bias.set_value(paddle.randn(layer.bias.shape))
    _save(network, folder)


def export_encoder(folder: Path, *, norms_first: bool) -> None:
    """In front of each layer norm's readers three channels of 64 are outliers, as in trained encoders."""
    paddle.disable_static()
    paddle.seed(0)
    network, random = Encoder(norms_first=norms_first), np.random.default_rng(0)
    for layer in network.sublayers():
        if isinstance(layer, nn.LayerNorm):
            scale = layer.weight.numpy()
            scale[random.choice(WIDTH, 3, replace=False)] *= OUTLIER
            layer.weight.set_value(scale)
    _save(network, folder)


def export_planted(folder: Path) -> None:
    """Convolutions, one of them depthwise, and products, joined by each activation that may be between."""
    paddle.disable_static()
    paddle.seed(0)
    first, norm, depthwise = nn.Conv2D(3, 16, 3, 2, 1, bias_attr=False), nn.BatchNorm2D(16), _depthwise(16)
    pointwise, hidden, answers = nn.Conv2D(16, 32, 1), nn.Linear(32 * 64, 48), nn.Linear(48, 10)
    network = nn.Sequential(
        *(first, norm, nn.ReLU(), depthwise, nn.LeakyReLU(0.2), pointwise, nn.PReLU(32)),
        *(nn.MaxPool2D(2), nn.Flatten(), hidden, nn.ReLU(), answers),
    )
    for layer in (first, depthwise, pointwise, hidden, answers):
        nn.initializer.KaimingNormal()(layer.weight)
    network.train()
    for seed in range(5):
        network(paddle.to_tensor(pictures(16, seed)))
    network.eval()
    random = np.random.default_rng(0)
    _plant(random, norm, depthwise, (16, 1, 1, 1))
    _plant(random, depthwise, pointwise, (1, 16, 1, 1))
    _plant(random, pointwise, hidden, (32, 64, 1))
    _plant(random, hidden, answers, (48, 1))
    _save(network, folder)


def _depthwise(channels: int) -> Any:
    return nn.Conv2D(channels, channels, 3, padding=1, groups=channels)


def _plant(random: np.random.Generator, first: Any, second: Any, shape: tuple[int, ...]) -> None:
    """Multiplies the channels that `first` writes, and divides the weights with which `second` reads them.

    shape: how the factors lie along the weights of `second`; values of one channel may lie together.
    """
    width = first.bias.shape[0]
    factor = (10 ** random.uniform(-DECADES, DECADES, width)).astype(np.float32)
    written = factor.reshape(-1, 1, 1, 1) if isinstance(first, nn.Conv2D) else factor
    first.weight.set_value(first.weight.numpy() * written)
    first.bias.set_value(first.bias.numpy() * factor)
    read = np.broadcast_to(factor.reshape([width if side == width else 1 for side in shape]), shape)
    weight = second.weight.numpy()
    table = weight.reshape(*shape[:2], -1) if len(shape) == 3 else weight
    second.weight.set_value((table / read).reshape(weight.shape))


def _save(network: Any, folder: Path) -> None:
    network.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])
    paddle.enable_static()
