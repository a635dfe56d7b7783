"""ERNIE at its published size for timing, and a small one trained on Chinese sentiment for accuracy.

Only `export_ernie` and `train_ernie` import Paddle, since they run in an isolated process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from paddle_int8.zoo.sentiment import LENGTH, sentiment

PUBLISHED_VOCABULARY, PUBLISHED_LENGTH = 18_000, 128
EPOCHS = 2
BATCH = 32
PEAK_RATE = 1e-3
WEIGHT_DECAY = 0.01
LARGEST_GRADIENT = 1.0


def export_ernie(folder: Path, progress: Callable[[int, int, str], None], *, seed: int = 0) -> None:
    """Exports ERNIE base with random weights as `folder/model.*`: input `tokens` int64 [-1, 128], 2 classes.

    LayerNorm keeps the activations in a normal range, so it takes the time that a trained model takes.
    """
    import paddle

    from paddle_int8.zoo.encoder_network import Ernie, Size, export

    paddle.seed(seed)
    size = Size(vocabulary=PUBLISHED_VOCABULARY, length=PUBLISHED_LENGTH)
    export(Ernie(size), size.length, folder)
    progress(1, 1, "exported")


def random_tokens(count: int, seed: int) -> tuple[npt.NDArray[np.int64], None]:
    """Random token ids [count, 128] without padding or labels; low ids are more frequent, as in real text."""
    random = np.random.default_rng(seed)
    spread = random.zipf(1.2, (count, PUBLISHED_LENGTH)) % (PUBLISHED_VOCABULARY - 1)
    return spread.astype(np.int64) + 1, None


def train_ernie(
    folder: Path,
    progress: Callable[[int, int, str], None],
    *,
    layers: int = 3,
    hidden: int = 128,
    heads: int = 4,
    length: int = LENGTH,
    epochs: int = EPOCHS,
    corpus: str | Path | None = None,
    seed: int = 0,
    peak_rate: float = PEAK_RATE,
    checkpoint: Path | None = None,
) -> None:
    """Trains ERNIE's architecture on `zoo.sentiment`, and exports it as `folder/model.*`, input `tokens`.

    checkpoint: a folder with the progress of a killed run, from which training resumes.

    Raises: DataError without the corpus, TrainingError when the loss is not finite.
    """
    import paddle

    from paddle_int8.zoo.encoder_network import Ernie, Size, export
    from paddle_int8.zoo.network import Recipe, train_network

    tokens, labels = sentiment("train", length, corpus)
    paddle.seed(seed)
    network = Ernie(
        Size(vocabulary=int(tokens.max()) + 1, length=length, layers=layers, hidden=hidden, heads=heads)
    )
    recipe = Recipe(
        epochs=epochs,
        batch=BATCH,
        peak_rate=peak_rate,
        weight_decay=WEIGHT_DECAY,
        largest_gradient=LARGEST_GRADIENT,
        seed=seed,
    )
    train_network(network, tokens, labels, recipe, progress, checkpoint)
    export(network, length, folder)
