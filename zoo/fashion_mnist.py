"""Fashion-MNIST, and the classifiers trained on it that show the accuracy of the published image models.

Fashion-MNIST has 60,000 training and 10,000 test pictures of clothes, 28x28, in 10 classes (Xiao, Rasul &
Vollgraf 2017, arXiv:1708.07747). The networks are those of paddle.vision with ten classes. ImageNet is not
available everywhere, and two cores train each network in minutes at 32 pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.preprocessing import frame_array, normalise
from paddle_int8.tasks.data.sources.idx import read_idx
from paddle_int8.tasks.engines.paddle.training.checkpoint import Checkpoint
from paddle_int8.tasks.store.folder import file_digest

if TYPE_CHECKING:
    from paddle import nn

    from paddle_int8.zoo.uneven import Unevenness

CLASSES, SIDE, BATCH = 10, 32, 64
CALIBRATION = 2000
"""How many of the training pictures, the last ones, are kept for calibration and not trained on."""
FETCH = "`make data`, or `python -m paddle_int8.tasks.data.packages fashion-mnist`, fetches them"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
"""The folder in which Debian's package `dataset-fashion-mnist` installs the files."""
FETCHED = "fashion-mnist" / INSTALLED.relative_to("/")
"""Their folder below the data folder, after `make data`."""
FILES = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
PLAIN = Preprocessing(resize=(SIDE, SIDE), scale=1 / 255, mean=(0.5,), std=(0.5,))


def pictures(split: str, folder: str | None = None) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The pictures [N, 28, 28, 3] and labels [N] of one split.

    split: `train`, `calibration` or `validation`, which share no picture.
    folder: the folder of the four IDX files; None looks where `make data` and Debian's package put them.
    Raises: DataError when the files are missing, with the command that fetches them, or when there is no such
    split.
    """
    kind = "t10k" if split == "validation" else "train"
    images = read_idx(_located(folder, f"{kind}-images-idx3-ubyte.gz"))
    labels = read_idx(_located(folder, f"{kind}-labels-idx1-ubyte.gz"))
    kept = {
        "train": slice(None, len(images) - CALIBRATION),
        "calibration": slice(len(images) - CALIBRATION, None),
        "validation": slice(None),
    }
    if split not in kept:
        raise DataError(found=f"split {split!r}", required=", ".join(kept), remedy="correct `split`")
    chosen = _first_of_each(images)[kept[split]] if split != "validation" else _unseen(images, folder)
    return np.repeat(images[chosen, :, :, None], 3, axis=3), labels[chosen].astype(np.int64)


def train_classifier(
    folder: Path,
    progress: Callable[[int, int, str], None],
    *,
    name: str,
    epochs: float,
    optimizer: str = "adamw",
    peak_rate: float = 2e-3,
    shallow: dict[str, float] | None = None,
    uneven: Unevenness | None = None,
    batch: int = BATCH,
    seed: int = 0,
    data: str | None = None,
    checkpoint: Path | None = None,
    **architecture: object,
) -> None:
    """Trains `paddle.vision.models.<name>(num_classes=10, **architecture)`, input `image` [-1, 3, 32, 32].

    shallow: `epochs` and `peak_rate` for a first training of only the first block of each stage, from which
    the whole network is then grown (see `zoo.growth`).
    uneven: arguments of `uneven.make_uneven`, which then changes the model without a change of its answers.
    checkpoint: a folder with the progress of a killed run, from which training resumes.
    Raises: TrainingError when the loss is not finite.
    """
    from paddle_int8.zoo import growth
    from paddle_int8.zoo.classifier import Schedule, export, train
    from paddle_int8.zoo.uneven import make_uneven

    taken, labels = pictures("train", data)
    placed = np.stack([frame_array(picture, PLAIN) for picture in taken])

    def trained(
        build: Callable[[], nn.Layer], part: str, grown_from: growth.Weights | None, **schedule: float
    ) -> growth.Weights:
        return train(
            build,
            lambda rows: _mirrored(normalise(placed[rows], PLAIN), rows),
            labels,
            Schedule(optimizer=optimizer, batch=batch, seed=seed, **schedule),
            lambda done, total, note: progress(done, total, f"{part}, {note}"),
            Checkpoint(checkpoint / part) if checkpoint else None,
            side=SIDE,
            grown_from=grown_from,
        )

    def build() -> nn.Layer:
        return _network(name, architecture)

    first = trained(lambda: growth.shallow(build()), "shallow", None, **shallow) if shallow else None
    weights = trained(build, name, first, epochs=epochs, peak_rate=peak_rate)
    export(build, weights, folder, side=SIDE)
    if uneven:
        make_uneven(folder, **uneven)


def train_swin(
    folder: Path,
    progress: Callable[[int, int, str], None],
    *,
    epochs: int = 1,
    peak_rate: float = 2e-3,
    width: int = 48,
    uneven: Unevenness | None = None,
    batch: int = BATCH,
    seed: int = 0,
    data: str | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Trains a small Swin Transformer, and exports it as `folder/model.*`, input `image` [-1, 3, 32, 32].

    width: the channels of the first stage.
    uneven: arguments of `uneven.make_uneven`, which then changes the model without a change of its answers.
    checkpoint: a folder with the progress of a killed run, from which training resumes.
    Raises: TrainingError when the loss is not finite.
    """
    import paddle

    from paddle_int8.zoo.network import Recipe, train_network
    from paddle_int8.zoo.swin import Swin
    from paddle_int8.zoo.uneven import make_uneven

    taken, labels = pictures("train", data)
    placed = normalise(np.stack([frame_array(picture, PLAIN) for picture in taken]), PLAIN)
    paddle.seed(seed)
    network = Swin(CLASSES, side=SIDE, width=width)
    recipe = Recipe(epochs=epochs, batch=batch, peak_rate=peak_rate, weight_decay=0.05, seed=seed)
    train_network(network, placed, labels, recipe, progress, checkpoint)
    network.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])
    if uneven:
        make_uneven(folder, **uneven)


def _network(name: str, architecture: dict[str, object]) -> nn.Layer:
    """The network of paddle.vision, changed to train faster at 32 pixels.

    The two fully connected layers of 4,096 in VGG become one of 512, since they would take nine tenths of the
    training. Convolutions before a batch norm have no bias: the batch norm would subtract it again, and
    its gradient takes a fifth of the time.
    """
    import paddle
    from paddle import nn

    network = getattr(paddle.vision.models, name)(num_classes=CLASSES, **architecture)
    if name.startswith("vgg"):
        network.avgpool = nn.AdaptiveAvgPool2D(1)
        network.classifier = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, CLASSES))
        for layer in network.features if architecture.get("batch_norm") else ():
            if isinstance(layer, nn.Conv2D):
                layer.bias = None
    return network


def _mirrored(batch: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Every picture of an odd row number mirrored left to right, so that a row is always treated alike."""
    flipped = batch.copy()
    flipped[rows % 2 == 1] = batch[rows % 2 == 1, :, :, ::-1]
    return flipped


def _first_of_each(images: Array) -> npt.NDArray[np.int64]:
    """The indices of distinct pictures, in order; some pictures occur twice."""
    _, first = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)
    return np.sort(first)


def _unseen(images: Array, folder: str | None) -> npt.NDArray[np.int64]:
    """The indices of the test pictures that are not among the training pictures."""
    known = {picture.tobytes() for picture in read_idx(_located(folder, "train-images-idx3-ubyte.gz"))}
    return np.array([place for place, picture in enumerate(images) if picture.tobytes() not in known])


def _located(folder: str | None, name: str) -> Path:
    """The path of an IDX file. The content of a fetched file is checked, not that of the user's own."""
    if folder is not None:
        return Path(folder) / name
    fetched = Settings().data / FETCHED
    for place in (fetched, INSTALLED):
        if (path := place / name).is_file():
            if (found := file_digest(path)) != FILES[name]:
                raise DataError(
                    found=f"{path} has the SHA-256 {found[:12]}…",
                    required=f"{FILES[name][:12]}…, the published file",
                    remedy=f"remove it; {FETCH}",
                )
            return path
    raise DataError(
        found=f"no {name} in {fetched} or {INSTALLED}",
        required="the four files of Fashion-MNIST",
        remedy=FETCH,
    )
