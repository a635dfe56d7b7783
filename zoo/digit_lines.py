"""Lines of real handwritten digits, and the training function of the recogniser that reads them.

Only `train_reader` imports Paddle, since it runs in an isolated process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.engines.paddle.training.checkpoint import Checkpoint
from paddle_int8.zoo.digits import shuffled_digits

DIGITS = 4
HEIGHT, WIDTH = 28, 128
SPLITS = {"train": (0, 3900), "calibration": (3900, 4000), "validation": (4000, 5000)}
"""The range of shuffled digits in each split. More of them train than in the demo, since whoever reads four
digits in a row correctly must read each of them better."""
DIGIT_STEPS, LINE_STEPS = 7000, 1500

Pixels = npt.NDArray[np.uint8]
Digits = npt.NDArray[np.int64]


def lines(split: str, count: int, seed: int = 0) -> tuple[list[Pixels], list[Digits]]:
    """Lines [1, HEIGHT, WIDTH] and the digits in each [DIGITS]; the splits share no digit.

    Every digit of the split is in equally many lines, give or take one. A plain random draw would repeat some
    digits and leave others out, and so judge the recogniser by fewer digits than there are.

    Raises: DataError when there is no such split.
    """
    pictures, labels = split_digits(split)
    random = np.random.default_rng(seed)
    rounds = -(-count * DIGITS // len(labels))
    drawn = np.concatenate([random.permutation(len(labels)) for _ in range(rounds)])
    rows = drawn[: count * DIGITS].reshape(count, DIGITS)
    return [line(pictures[row], random)[None] for row in rows], [labels[row] for row in rows]


def split_digits(split: str) -> tuple[Pixels, Digits]:
    """The pictures [N, 28, 28] and labels [N] of a split. Raises: DataError when there is no such split."""
    if split not in SPLITS:
        raise DataError(found=f"split {split!r}", required=", ".join(SPLITS), remedy="correct `split`")
    pictures, labels = shuffled_digits()
    chosen = slice(*SPLITS[split])
    return pictures[chosen], labels[chosen]


def line(pictures: Pixels, random: np.random.Generator) -> Pixels:
    """A line [HEIGHT, WIDTH] of digits [DIGITS, 28, 28], side by side with uneven gaps."""
    free = WIDTH - DIGITS * pictures.shape[2]
    gaps = np.diff(np.sort(random.integers(0, free + 1, DIGITS)), prepend=0)
    canvas, column = np.zeros((HEIGHT, WIDTH), np.uint8), 0
    for picture, gap in zip(pictures, gaps.tolist(), strict=True):
        column += gap
        canvas[:, column : column + picture.shape[1]] = picture
        column += picture.shape[1]
    return canvas


def train_reader(
    folder: Path,
    progress: Callable[[int, int, str], None],
    *,
    digit_steps: int = DIGIT_STEPS,
    line_steps: int = LINE_STEPS,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> None:
    """Trains the recogniser on the split `train`, and exports it as `folder/model.*`.

    It maps `x` [-1, 1, HEIGHT, WIDTH] to scores for each column. First the convolutions alone learn single
    digits, which take a quarter of the work of a line. Then the whole recogniser learns lines.

    checkpoint: a folder with the progress of a killed run, from which training resumes.

    Raises: TrainingError when the loss is not finite.
    """
    import paddle

    from paddle_int8.zoo.digit_reader import Reader, train_on_digits, train_on_lines

    paddle.seed(seed)
    reader = Reader()
    pictures, labels = split_digits("train")
    of_digits, of_lines = (checkpoint / "digits", checkpoint / "lines") if checkpoint else (None, None)
    if of_lines is None or Checkpoint(of_lines).load() is None:
        train_on_digits(reader, pictures, labels, digit_steps, seed, progress, of_digits)
    with paddle.utils.unique_name.guard():  # an earlier optimizer must not change the names in a checkpoint
        train_on_lines(reader, pictures, labels, line_steps, seed, progress, of_lines)
    reader.eval()
    spec = [paddle.static.InputSpec([None, 1, HEIGHT, WIDTH], "float32", "x")]
    paddle.jit.save(reader, str(folder / "model"), input_spec=spec)
