"""`python small_network.py FOLDER [DTYPE]`: a small classifier of Paddle 3 and what it says of noise.

Writes `inference.json`, `inference.pdiparams` and `taught.npz`, pictures that it is sure of with its answers.
Runs in Paddle 3's own environment.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

SIDE, CLASSES, SAMPLES = 16, 10, 400


def main(folder: Path, dtype: str) -> None:
    paddle.seed(0)
    network = nn.Sequential(
        *(nn.Conv2D(3, 8, 3, bias_attr=False), nn.BatchNorm2D(8), nn.ReLU()),
        *(nn.Conv2D(8, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2D(2), nn.Flatten()),
        nn.Linear(64, CLASSES),
    )
    network.eval()
    noise = np.random.default_rng(3).standard_normal((5 * SAMPLES, 3, SIDE, SIDE)).astype("float32")
    logits = network(paddle.to_tensor(noise)).numpy()
    ranked = np.sort(logits, axis=1)
    surest = np.argsort(ranked[:, -2] - ranked[:, -1])[:SAMPLES]
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "taught.npz", image=noise[surest], labels=logits[surest].argmax(axis=1))
    network.to(dtype=dtype)
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], dtype, "image")
    paddle.jit.save(network, str(folder / "inference"), input_spec=[spec])


if __name__ == "__main__":
    main(Path(sys.argv[1]), (*sys.argv[2:], "float32")[0])
