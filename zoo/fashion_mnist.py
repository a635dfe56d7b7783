"""Fashion-MNIST, and classifiers trained on it: the accuracy of the published image models.

60,000 training and 10,000 test pictures of clothes, 28x28, 10 classes (Xiao, Rasul & Vollgraf 2017,
arXiv:1708.07747). The networks are those of paddle.vision with a head of ten classes; ImageNet cannot be
had everywhere, and at 32 pixels two cores train each of them in minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.preprocessing import normalise, place_array
from paddle_int8.tasks.data.sources.idx import read_idx
from paddle_int8.tasks.engines.paddle.training.checkpoint import Checkpoint
from paddle_int8.tasks.store.folder import file_digest

CLASSES, SIDE, BATCH = 10, 32, 64
CALIBRATION = 2000
"""Of the training pictures, the last ones: for calibration, and not trained on."""
FETCH = "`make data`, or `python -m paddle_int8.tasks.data.packages fashion-mnist`, fetches them"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package `dataset-fashion-mnist` puts the files."""
FETCHED = "fashion-mnist" / INSTALLED.relative_to("/")
"""Below the data folder."""
FILES = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
PLAIN = Preprocessing(resize=(SIDE, SIDE), scale=1 / 255, mean=(0.5,), std=(0.5,))


def pictures(split: str, folder: str | None = None) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """[N, 28, 28, 3] and labels [N] of `train`, `calibration` or `validation`, which share no picture.

    folder: of the four IDX files; None looks where `make data` and where Debian's package put them.
    Raises: DataError when there are none, with the command that fetches them, or no such split.
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
    batch: int = BATCH,
    seed: int = 0,
    data: str | None = None,
    checkpoint: Path | None = None,
    **architecture: Any,
) -> None:
    """Trains `paddle.vision.models.<name>(num_classes=10, **architecture)`, input `image` [-1, 3, 32, 32].

    shallow: `epochs` and `peak_rate` for the network's first block of each stage, from which it is grown.
    A killed training goes on from `checkpoint`.
    Raises: TrainingError when the loss is not finite.
    """
    from paddle_int8.zoo import growth
    from paddle_int8.zoo.classifier import Schedule, export, train

    taken, labels = pictures("train", data)
    placed = np.stack([place_array(picture, PLAIN) for picture in taken])

    def trained(
        build: Callable[[], Any], part: str, grown_from: growth.Weights | None, **schedule: float
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

    def build() -> Any:
        return _network(name, architecture)

    first = trained(lambda: growth.shallow(build()), "shallow", None, **shallow) if shallow else None
    weights = trained(build, name, first, epochs=epochs, peak_rate=peak_rate)
    export(build, weights, folder, side=SIDE)


def _network(name: str, architecture: dict[str, Any]) -> Any:
    """VGG's two layers of 4,096 become one of 512: at 32 pixels they would be nine tenths of the training.

    Convolutions before a batch norm have no bias: it would be taken away again, and its sum takes a fifth
    of the time.
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
    """Every other picture left to right, the same ones for the same rows."""
    flipped = batch.copy()
    flipped[rows % 2 == 1] = batch[rows % 2 == 1, :, :, ::-1]
    return flipped


def _first_of_each(images: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Places of distinct pictures, in order: some come twice."""
    _, first = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)
    return np.sort(first)


def _unseen(images: npt.NDArray[Any], folder: str | None) -> npt.NDArray[np.int64]:
    """Places of the test pictures that are no training picture."""
    known = {picture.tobytes() for picture in read_idx(_located(folder, "train-images-idx3-ubyte.gz"))}
    return np.array([place for place, picture in enumerate(images) if picture.tobytes() not in known])


def _located(folder: str | None, name: str) -> Path:
    """The user's own path wins, and is not checked; a fetched file must be the known one."""
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
