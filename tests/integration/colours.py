"""A classifier of colours whose weights are set by hand, and pictures for it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("blue", "green", "night", "red", "twilight")
"""In the order of their names, as class folders are numbered."""
SIDE = 32
HUES = {
    "blue": (60, 60, 200),
    "green": (60, 200, 60),
    "night": (45, 45, 45),
    "red": (200, 60, 60),
    "twilight": (78, 78, 78),
}
WEIGHTS = {"blue": (-1, -1, 2), "green": (-1, 2, -1), "night": (-4, -4, -4), "red": (2, -1, -1)}
BIASES = {"night": -6.8, "twilight": 0.3}
"""With values from -1 to 1, the channels of `night` sum to -1.9, those of `twilight` to -1.2, and the classes
part at -1.7. With ImageNet's values twilight sums to -2, and without a mean all sums are positive."""


def export(
    folder: Path,
    classes: tuple[str, ...] = CLASSES,
    batch: int | None = None,
    *,
    depth: int = 1,
    width: int = 3,
) -> None:
    """Writes `folder/model.pdmodel`. Runs in an isolated process.

    depth, width: of its convolutions, which pass the three colours on; all other channels decide nothing.
    """
    import paddle
    from paddle import nn

    paddle.seed(0)
    channels = (3, *(width,) * depth)
    convolutions = [
        nn.Conv2D(read, written, 3, padding=1, bias_attr=False) for read, written in pairwise(channels)
    ]
    network = nn.Sequential(
        *convolutions, nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(width, len(classes))
    )
    for convolution in convolutions:
        kernel = 0.5 * convolution.weight.numpy()  # so that no channel grows from layer to layer
        kernel[:3] = 0.0
        kernel[range(3), range(3), 1, 1] = 1.0
        convolution.weight.set_value(kernel)
    decisive = np.zeros((width, len(classes)), np.float32)
    decisive[:3] = np.array([WEIGHTS.get(name, (0, 0, 0)) for name in classes], np.float32).T
    network[-1].weight.set_value(decisive)
    network[-1].bias.set_value(np.array([BIASES.get(name, 0.0) for name in classes], np.float32))
    network.eval()
    spec = paddle.static.InputSpec([batch, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])


def draw(root: Path, each: int, seed: int = 0) -> Path:
    """Writes `root/<class>/<number>.png`, `each` pictures of every class."""
    random = np.random.default_rng(seed)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for number in range(each):
            noise = random.integers(-25, 25, (SIDE, SIDE, 3))
            pixels = np.clip(np.array(HUES[name]) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:03d}.png")
    return root
