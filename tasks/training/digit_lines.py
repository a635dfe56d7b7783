"""Lines of real handwritten digits, and an LSTM that reads them, trained with CTC.

Paddle is imported in `train_reader` alone, which runs in an isolated process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from tasks.errors import TrainingError
from tasks.training.digits import digits

DIGITS = 4
HEIGHT, WIDTH = 28, 128
WINDOW, STRIDE = 12, 4
STEPS = (WIDTH - WINDOW) // STRIDE + 1
FEATURES = HEIGHT * WINDOW
CLASSES = 11
"""The blank of CTC, 0, and the ten digits after it."""
EMBEDDED, HIDDEN, LAYERS = 128, 256, 2
BATCH, PEAK_RATE, COPIES = 32, 2e-3, 12

Pixels = npt.NDArray[np.uint8]
Digits = npt.NDArray[np.int64]

logger = logging.getLogger(__name__)


def lines(split: str, count: int, seed: int = 0) -> tuple[list[Pixels], list[Digits]]:
    """Windows over each line, [STEPS, FEATURES], and its digits, [DIGITS]; splits share no digit.

    Raises: DataError when there is no such split.
    """
    pictures, labels = digits(split)
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(labels), (count, DIGITS))
    return [windows(line(pictures[row, ..., 0], random)) for row in drawn], [labels[row] for row in drawn]


def line(pictures: Pixels, random: np.random.Generator) -> Pixels:
    """Digits [DIGITS, 28, 28] beside each other with uneven gaps: [HEIGHT, WIDTH]."""
    free = WIDTH - DIGITS * pictures.shape[2]
    gaps = np.diff(np.sort(random.integers(0, free + 1, DIGITS)), prepend=0)
    canvas, column = np.zeros((HEIGHT, WIDTH), np.uint8), 0
    for picture, gap in zip(pictures, gaps.tolist(), strict=True):
        column += gap
        canvas[:, column : column + picture.shape[1]] = picture
        column += picture.shape[1]
    return canvas


def windows(canvas: Pixels) -> Pixels:
    """[..., HEIGHT, WIDTH] as overlapping windows of columns, [..., STEPS, FEATURES]."""
    columns = np.swapaxes(canvas, -1, -2)
    cut = [columns[..., start : start + WINDOW, :] for start in range(0, WIDTH - WINDOW + 1, STRIDE)]
    stacked = np.stack(cut, axis=-3)
    flat: Pixels = stacked.reshape(*stacked.shape[:-2], FEATURES)
    return flat


def train_reader(
    folder: Path,
    progress: Callable[[int, int, str], None],
    *,
    steps: int = 500,
    seed: int = 0,
) -> None:
    """Trains on lines of the digits of split `train`, and exports `x` [batch, STEPS, FEATURES] to scores.

    Raises: TrainingError when the loss is not a number.
    """
    import paddle

    paddle.seed(seed)
    random = np.random.default_rng(seed)
    pictures, labels = digits("train")
    varied = _varied(pictures[..., 0], random)
    reader = _reader()
    rate = paddle.optimizer.lr.OneCycleLR(PEAK_RATE, total_steps=steps, phase_pct=0.2)
    optimizer = paddle.optimizer.AdamW(
        rate, parameters=reader.parameters(), grad_clip=paddle.nn.ClipGradByGlobalNorm(1.0)
    )
    lost = paddle.nn.CTCLoss(blank=0)
    given = paddle.full([BATCH], STEPS, "int64"), paddle.full([BATCH], DIGITS, "int64")
    for step in range(1, steps + 1):
        drawn = random.integers(0, len(labels), (BATCH, DIGITS))
        copies = random.integers(0, COPIES, (BATCH, DIGITS))
        batch = np.stack([windows(line(each, random)) for each in varied[copies, drawn]])
        scores = reader(paddle.to_tensor(batch.astype(np.float32) / 255))
        target = paddle.to_tensor((labels[drawn] + 1).astype(np.int32))
        loss = lost(scores.transpose([1, 0, 2]), target, *given)
        value = float(loss)
        if not np.isfinite(value):
            raise TrainingError(
                found=f"loss {value} in step {step} of {steps}",
                required="finite values",
                remedy="lower PEAK_RATE, or take another `seed` in `model.arguments`",
            )
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        rate.step()
        progress(step, steps, f"loss {value:.3f}")
        logger.info("step %d of %d, loss %.4f", step, steps, value)
    reader.eval()
    spec = [paddle.static.InputSpec([None, STEPS, FEATURES], "float32", "x")]
    paddle.jit.save(reader, str(folder / "model"), input_spec=spec)


def _reader() -> Any:
    from paddle import nn

    class Reader(nn.Layer):  # type: ignore[misc] # Paddle has no types
        """A window's features, LSTM both ways, and a score a class at each step."""

        def __init__(self) -> None:
            super().__init__()
            self.embedded = nn.Sequential(nn.Linear(FEATURES, EMBEDDED), nn.ReLU())
            self.recurrent = nn.LSTM(EMBEDDED, HIDDEN, LAYERS, direction="bidirect")
            self.scores = nn.Linear(2 * HIDDEN, CLASSES)

        def forward(self, x: Any) -> Any:
            values, _ = self.recurrent(self.embedded(x))
            return self.scores(values)

    return Reader()


def _varied(pictures: Pixels, random: np.random.Generator) -> Pixels:
    """Each picture rotated, slanted, scaled and moved a little, `COPIES` times: [COPIES, N, 28, 28]."""
    middle = np.array([13.5, 13.5])
    varied = np.empty((COPIES, *pictures.shape), np.uint8)
    for copy in range(COPIES):
        for place, picture in enumerate(pictures):
            angle, slant = random.normal(0, 0.12), random.normal(0, 0.15)
            size = random.normal(1, 0.07, 2)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            matrix = turn @ np.array([[size[0], 0], [slant, size[1]]])
            shift = middle - matrix @ middle + random.normal(0, 0.8, 2)
            moved = ndimage.affine_transform(picture.astype(np.float32), matrix, shift, order=1)
            varied[copy, place] = np.clip(moved, 0, 255)
    return varied
