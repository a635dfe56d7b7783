"""Full-size architectures for timing, with realistic activations.

Plain random weights would mislead, since activations vanish and slow the CPU down.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from paddle_int8.tasks.engines.paddle.private.networks import set_momentum

SIDE, BATCHES = 224, 3


def resnet50(progress: Callable[[int, int, str], None] = lambda *_: None) -> Any:
    """ResNet50 of paddle.vision, with Kaiming weights and the BatchNorm statistics of a few batches."""
    import paddle

    paddle.seed(0)
    model = paddle.vision.models.resnet50()
    initialise = paddle.nn.initializer.KaimingNormal()
    for layer in model.sublayers():
        if isinstance(layer, paddle.nn.Conv2D):
            initialise(layer.weight)
        if isinstance(layer, paddle.nn.BatchNorm2D):
            set_momentum(layer, 0.5)
    model.train()
    with paddle.no_grad():
        for batch in range(BATCHES):
            model(paddle.randn([4, 3, SIDE, SIDE]))
            progress(batch + 1, BATCHES, "BatchNorm statistics")
    return model


def export_resnet50(folder: Path, progress: Callable[[int, int, str], None]) -> None:
    """Exports `resnet50`, whose input is [-1, 3, SIDE, SIDE]."""
    import paddle

    model = resnet50(progress)
    model.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(model, str(folder / "model"), input_spec=[spec])


def mobilenet() -> Any:
    """MobileNet-V1 of paddle.vision, with Kaiming weights."""
    import paddle

    network = paddle.vision.models.mobilenet_v1()
    for layer in network.sublayers():
        if isinstance(layer, paddle.nn.Conv2D):
            paddle.nn.initializer.KaimingNormal()(layer.weight)
    return network


def encoder() -> Any:
    """Four layers of attention over 196 patches, 256 wide."""
    from paddle import nn

    class Encoder(nn.Layer):  # type: ignore[misc] # Paddle has no types
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2D(3, 256, 16, 16)
            layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, activation="gelu")
            self.layers, self.answers = nn.TransformerEncoder(layer, 4), nn.Linear(256, 10)

        def forward(self, image: Any) -> Any:
            rows = self.patches(image).flatten(2).transpose([0, 2, 1])
            return self.answers(self.layers(rows).mean(axis=1))

    return Encoder()
