"""A recogniser of lines: convolutions, a bidirectional LSTM, and a score for each class at each column (CTC).

It imports Paddle, so only functions that run in an isolated process may import this module.
Source: Shi, Bai & Yao 2015, CRNN, arXiv:1507.05717; Graves et al. 2006, CTC.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import paddle
from paddle import nn

from paddle_int8.tasks.engines.paddle.training.checkpoint import Checkpoint
from paddle_int8.tasks.engines.paddle.training.loop import NetworkState, cosine_rate, fit
from paddle_int8.zoo.digit_lines import DIGITS, line
from paddle_int8.zoo.distortion import distorted

CHANNELS, ROWS = 64, 7
STRIDE = 8
"""The pixels of a line in one time step of the LSTM: two columns of the convolutions' output."""
DIGIT_WIDTH = 32
"""The width of the picture of a single digit, which is 28 wide: the next multiple of STRIDE."""
CLASSES = 11
"""The number of classes: CTC's blank, which is class 0, and the ten digits."""
EMBEDDED, HIDDEN, LAYERS = 128, 256, 2
BATCH, LINES = 64, 32
DIGIT_RATE, LINE_RATE, WEIGHT_DECAY = 2e-3, 2e-3, 0.02
KEPT_RATE = 0.5
"""The share of the learning rate for the layers that have learned digits already."""
DROPPED, DROPPED_BETWEEN_LAYERS = 0.3, 0.2

Pictures = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Progress = Callable[[int, int, str], None]


class Reader(nn.Layer):  # type: ignore[misc] # Paddle has no types
    """The recogniser: it maps `x` [N, 1, 28, width] in 0..1 to scores [N, width / STRIDE, CLASSES]."""

    def __init__(self) -> None:
        super().__init__()
        self.columns = Columns()
        self.recurrent = nn.LSTM(
            EMBEDDED, HIDDEN, LAYERS, direction="bidirect", dropout=DROPPED_BETWEEN_LAYERS
        )
        self.scores = nn.Linear(2 * HIDDEN, CLASSES)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        values, _ = self.recurrent(self.columns(x))
        return self.scores(values)


class Columns(nn.Layer):  # type: ignore[misc]
    """The convolutions: they map `x` [N, 1, 28, width] to features [N, width / STRIDE, EMBEDDED]."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *_convolution(1, CHANNELS // 2, 5, stride=2),
            *_convolution(CHANNELS // 2, CHANNELS, 3, stride=2),
            *_convolution(CHANNELS, CHANNELS, 3),
        )
        self.embedded = nn.Sequential(nn.Linear(2 * CHANNELS * ROWS, EMBEDDED), nn.ReLU())

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        columns = self.convolutions(x).transpose([0, 3, 1, 2])
        return self.embedded(columns.reshape([0, x.shape[3] // STRIDE, 2 * CHANNELS * ROWS]))


class DigitReader(nn.Layer):  # type: ignore[misc]
    """A classifier of single digits around `columns`, with which these are trained first."""

    def __init__(self, columns: Columns) -> None:
        super().__init__()
        self.columns = columns
        self.scores = nn.Sequential(
            nn.Dropout(DROPPED), nn.Linear(DIGIT_WIDTH // STRIDE * EMBEDDED, CLASSES - 1)
        )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.scores(self.columns(x).flatten(1))


def _convolution(given: int, made: int, side: int, stride: int = 1) -> list[nn.Layer]:
    convolution = nn.Conv2D(given, made, side, stride=stride, padding=side // 2, bias_attr=False)
    return [convolution, nn.BatchNorm2D(made), nn.ReLU()]


def train_on_digits(
    reader: Reader,
    pictures: Pictures,
    labels: Labels,
    steps: int,
    seed: int,
    progress: Progress,
    checkpoint: Path | None,
) -> None:
    """Trains the convolutions of `reader` on single digits [N, 28, 28], distorted anew each time."""
    network = DigitReader(reader.columns)
    optimizer = paddle.optimizer.AdamW(DIGIT_RATE, parameters=network.parameters(), weight_decay=WEIGHT_DECAY)

    def step(number: int) -> tuple[float, float]:
        optimizer.set_lr(cosine_rate(number, steps, DIGIT_RATE))
        random = np.random.default_rng((seed, 0, number))
        rows = random.integers(0, len(labels), BATCH)
        scores = network(_scaled(_placed(distorted(pictures[rows], random), random)[:, None]))
        loss = nn.functional.cross_entropy(scores, paddle.to_tensor(labels[rows]))
        _update(loss, optimizer)
        return float(loss), float((scores.numpy().argmax(axis=1) == labels[rows]).mean())

    store = Checkpoint(checkpoint) if checkpoint else None
    fit(step, steps, NetworkState(network, optimizer), store, progress)


def train_on_lines(
    reader: Reader,
    pictures: Pictures,
    labels: Labels,
    steps: int,
    seed: int,
    progress: Progress,
    checkpoint: Path | None,
) -> None:
    """Trains `reader` on lines of digits [N, 28, 28], which are distorted and combined anew each time."""
    new = [*reader.recurrent.parameters(), *reader.scores.parameters()]
    optimizer = paddle.optimizer.AdamW(
        LINE_RATE,
        parameters=[
            {"params": reader.columns.parameters(), "learning_rate": KEPT_RATE},
            {"params": new, "learning_rate": 1.0},
        ],
        weight_decay=WEIGHT_DECAY,
        grad_clip=nn.ClipGradByGlobalNorm(1.0),
    )
    lost = nn.CTCLoss(blank=0)
    each_digits = paddle.full([LINES], DIGITS, "int64")

    def step(number: int) -> tuple[float, float]:
        optimizer.set_lr(cosine_rate(number, steps, LINE_RATE))
        random = np.random.default_rng((seed, 1, number))
        rows = random.integers(0, len(labels), (LINES, DIGITS))
        varied = distorted(pictures[rows.ravel()], random).reshape(LINES, DIGITS, *pictures.shape[1:])
        scores = reader(_scaled(np.stack([line(digits, random)[None] for digits in varied])))
        target = paddle.to_tensor((labels[rows] + 1).astype(np.int32))
        each_steps = paddle.full([LINES], scores.shape[1], "int64")
        loss = lost(scores.transpose([1, 0, 2]), target, each_steps, each_digits)
        _update(loss, optimizer)
        return float(loss), float("nan")

    store = Checkpoint(checkpoint) if checkpoint else None
    fit(step, steps, NetworkState(reader, optimizer), store, progress)


def _placed(pictures: Pictures, random: np.random.Generator) -> Pictures:
    """Pictures [N, 28, 28] shifted at random within [N, 28, DIGIT_WIDTH].

    In a line, too, a digit may begin anywhere between two time steps.
    """
    free = DIGIT_WIDTH - pictures.shape[2]
    wide = np.zeros((*pictures.shape[:2], DIGIT_WIDTH), np.uint8)
    for canvas, picture, start in zip(wide, pictures, random.integers(0, free + 1, len(wide)), strict=True):
        canvas[:, start : start + picture.shape[1]] = picture
    return wide


def _scaled(pixels: Pictures) -> paddle.Tensor:
    return paddle.to_tensor(pixels.astype(np.float32) / 255)


def _update(loss: paddle.Tensor, optimizer: paddle.optimizer.Optimizer) -> None:
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
