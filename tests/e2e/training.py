"""Training functions that the retrainings in tests name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.e2e.small_inputs import CLASSES, SIDE


def train_small(
    folder: Path, progress: Callable[[int, int, str], None], *, data: str, start_from: str | None = None
) -> None:
    """One step on the pictures in the `.npz` at `data`, from scratch or from an earlier export."""
    import paddle
    from paddle import nn

    paddle.seed(0)
    network = nn.Sequential(
        *(nn.Conv2D(3, 8, 3, bias_attr=False), nn.BatchNorm2D(8), nn.ReLU()),
        *(nn.Conv2D(8, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2D(2), nn.Flatten()),
        nn.Linear(64, CLASSES),
    )
    if start_from:
        network.set_state_dict(paddle.load(str(Path(start_from) / "model")))
        (folder / "started_from.txt").write_text(start_from, encoding="utf-8")
    with np.load(data) as arrays:
        pictures, labels = paddle.to_tensor(arrays["image"]), paddle.to_tensor(arrays["labels"])
    optimizer = paddle.optimizer.SGD(0.01, parameters=network.parameters())
    loss = nn.functional.cross_entropy(network(pictures), labels)
    loss.backward()
    optimizer.step()
    progress(1, 1, f"loss {float(loss):.3f}")
    network.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])
