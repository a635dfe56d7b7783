"""Networks in which one layer reads channels of which one is 1,000 times as wide as the others.

The weights in front of that layer and its own make up for it, so that FP32 answers as it would without. One
scale for all channels leaves nothing of the others in INT8.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.e2e.small_inputs import CLASSES, SIDE, SmallInputs, save_data, teach
from tests.shared import made_once

CONVOLUTIONS, WIDTH, FACTOR = 6, 16, 1000
"""How many convolutions there are, how many channels each has, and how much wider the one channel is."""
NETWORKS = ("images", "encoder")
ODD = "stage/[3] conv:é*?.."
"""A layer's name in which a pattern would mean something else."""
STRICT = {"max_drop_pp": 10.0, "min_speedup": 0.01, "min_int8_share": 0.9}
"""The gate: answers must be right, most operators must run in INT8, and speed does not count."""


def planted_inputs(network: str, seed: int = 0) -> SmallInputs:
    """seed: decides the weights, which channel is wide and, among convolutions, in which layer."""
    return SmallInputs(
        folder=made_once(f"planted-{network}-{seed}", lambda folder: _make(network, seed, folder))
    )


def planted_tensor(network: str, seed: int = 0) -> str:
    """The output tensor of the planted layer."""
    return "linear_4.tmp_0" if network == "encoder" else f"conv2d_{_place(seed)}.tmp_0"


def _place(seed: int) -> int:
    """The place of the planted layer among the convolutions; the first one has none in front of it."""
    return 1 + (2 + seed) % (CONVOLUTIONS - 1)


def gated(
    inputs: SmallInputs,
    path: Path,
    name: str,
    *,
    metric: str = "top1",
    max_drop_pp: float = STRICT["max_drop_pp"],
    **quantization: Any,
) -> Path:
    """The configuration of a release of the planted network."""
    gate = STRICT | {"metric": metric, "max_drop_pp": max_drop_pp}
    validation = {"metrics": [metric]}
    return inputs.approvable(path, name, gate=gate, validation=validation, quantization=quantization)


def _make(network: str, seed: int, folder: Path) -> None:
    from paddle_int8.tasks.process.isolated import run_isolated

    run_isolated(export, network, seed, folder, step="export", log=folder / "export.log", timeout_s=300)
    run_isolated(teach, folder, step="teach", log=folder / "teach.log", timeout_s=300)
    save_data(folder / "calibration.npz", 16, seed=1)


def export(network: str, seed: int, folder: Path, factor: float = FACTOR) -> None:
    """Runs in an isolated process. factor: how much wider the one channel of the convolutions is."""
    import paddle

    paddle.seed(seed)
    channel = (5 + seed) % WIDTH
    if network == "encoder":
        layer = _encoder(channel)
    else:
        layer = _convolutions(_place(seed), channel, factor, named=ODD if network == "odd" else None)
    layer.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(layer, str(folder / "model" / "model"), input_spec=[spec])


def _convolutions(place: int, channel: int, factor: float, named: str | None) -> Any:
    """named: the name of the planted layer, whose neighbour behind it runs twice."""
    from paddle import ParamAttr, nn

    names = [named and index == place and ParamAttr(name=f"{named}.w_0") for index in range(CONVOLUTIONS)]
    layers = [
        nn.Conv2D(3 if index == 0 else WIDTH, WIDTH, 3, padding=1, weight_attr=name or None)
        for index, name in enumerate(names)
    ]
    for layer in layers:
        nn.initializer.KaimingNormal()(layer.weight)
    before, after = layers[place - 1], layers[place]
    _widen(before.weight, channel, axis=0, factor=factor)
    _widen(before.bias, channel, axis=0, factor=factor)
    _widen(after.weight, channel, axis=1, factor=1 / factor)
    if named:
        layers.append(layers[place + 1])
    parts = [part for layer in layers for part in (layer, nn.ReLU())]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(WIDTH, CLASSES))


def _encoder(channel: int) -> Any:
    from paddle import nn

    class Encoder(nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2D(3, 32, 4, stride=4)
            self.layer = nn.TransformerEncoderLayer(
                32, 4, 64, dropout=0.0, activation="relu", normalize_before=True
            )
            _widen(self.layer.norm2.weight, channel, axis=0)
            _widen(self.layer.norm2.bias, channel, axis=0)
            _widen(self.layer.linear1.weight, channel, axis=0, factor=1 / FACTOR)
            self.answers = nn.Linear(32, CLASSES)

        def forward(self, image: Any) -> Any:
            patches = self.patches(image).flatten(2).transpose([0, 2, 1])
            return self.answers(self.layer(patches).mean(axis=1))

    return Encoder()


def _widen(parameter: Any, channel: int, *, axis: int, factor: float = FACTOR) -> None:
    values = parameter.numpy()
    np.moveaxis(values, axis, 0)[channel] *= factor
    parameter.set_value(values)
