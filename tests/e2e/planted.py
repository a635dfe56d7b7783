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

PLANTED, CHANNEL, FACTOR = 3, 5, 1000
"""The place of the layer among the convolutions, the channel, and how much wider it is."""
ODD = "stage/[3] conv:é*?.."
"""A layer's name in which a pattern would mean something else."""
TENSORS = {"images": f"conv2d_{PLANTED}.tmp_0", "encoder": "linear_4.tmp_0"}
"""The output tensor of the planted layer by network."""
STRICT = {"max_drop_pp": 10.0, "min_speedup": 0.01, "min_int8_share": 0.9}
"""The gate: answers must be right, most operators must run in INT8, and speed does not count."""


def planted_inputs(network: str) -> SmallInputs:
    return SmallInputs(folder=made_once(f"planted-{network}", lambda folder: _make(network, folder)))


def gated(inputs: SmallInputs, path: Path, name: str, *, metric: str = "top1", **quantization: Any) -> Path:
    """The configuration of a release of the planted network."""
    gate, validation = STRICT | {"metric": metric}, {"metrics": [metric]}
    return inputs.approvable(path, name, gate=gate, validation=validation, quantization=quantization)


def _make(network: str, folder: Path) -> None:
    from paddle_int8.tasks.process.isolated import run_isolated

    run_isolated(export, network, folder, step="export", log=folder / "export.log", timeout_s=300)
    run_isolated(teach, folder, step="teach", log=folder / "teach.log", timeout_s=300)
    save_data(folder / "calibration.npz", 16, seed=1)


def export(network: str, folder: Path) -> None:
    """Runs in an isolated process."""
    import paddle

    paddle.seed(0)
    layer = {"images": _convolutions, "encoder": _encoder, "odd": _oddly_named}[network]()
    layer.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(layer, str(folder / "model" / "model"), input_spec=[spec])


def _convolutions(named: str | None = None) -> Any:
    """Six convolutions. named: the name of the planted one, whose neighbour behind it runs twice."""
    from paddle import ParamAttr, nn

    names = [named and index == PLANTED and ParamAttr(name=f"{named}.w_0") for index in range(6)]
    layers = [
        nn.Conv2D(3 if index == 0 else 16, 16, 3, padding=1, weight_attr=name or None)
        for index, name in enumerate(names)
    ]
    for layer in layers:
        nn.initializer.KaimingNormal()(layer.weight)
    before, after = layers[PLANTED - 1], layers[PLANTED]
    _widen(before.weight, axis=0)
    _widen(before.bias, axis=0)
    _widen(after.weight, axis=1, factor=1 / FACTOR)
    if named:
        layers.append(layers[PLANTED + 1])
    parts = [part for layer in layers for part in (layer, nn.ReLU())]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(16, CLASSES))


def _oddly_named() -> Any:
    return _convolutions(ODD)


def _encoder() -> Any:
    from paddle import nn

    class Encoder(nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2D(3, 32, 4, stride=4)
            self.layer = nn.TransformerEncoderLayer(
                32, 4, 64, dropout=0.0, activation="relu", normalize_before=True
            )
            _widen(self.layer.norm2.weight, axis=0)
            _widen(self.layer.norm2.bias, axis=0)
            _widen(self.layer.linear1.weight, axis=0, factor=1 / FACTOR)
            self.answers = nn.Linear(32, CLASSES)

        def forward(self, image: Any) -> Any:
            patches = self.patches(image).flatten(2).transpose([0, 2, 1])
            return self.answers(self.layer(patches).mean(axis=1))

    return Encoder()


def _widen(parameter: Any, *, axis: int, factor: float = FACTOR) -> None:
    values = parameter.numpy()
    np.moveaxis(values, axis, 0)[CHANNEL] *= factor
    parameter.set_value(values)
