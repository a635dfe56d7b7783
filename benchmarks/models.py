"""Full-size architectures for timing, with realistic activations.

Plain random weights would mislead, since activations vanish and slow the CPU down.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from paddle_int8.tasks.engines.paddle.private.networks import set_momentum

BATCHES = 3


def export_resnet50(folder: Path, progress: Callable[[int, int, str], None]) -> None:
    """Exports ResNet50 of paddle.vision, with Kaiming weights and the BatchNorm statistics of a few batches.

    Its input is [-1, 3, 224, 224].
    """
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
            model(paddle.randn([4, 3, 224, 224]))
            progress(batch + 1, BATCHES, "BatchNorm statistics")
    model.eval()
    spec = paddle.static.InputSpec([None, 3, 224, 224], "float32", "image")
    paddle.jit.save(model, str(folder / "model"), input_spec=[spec])
