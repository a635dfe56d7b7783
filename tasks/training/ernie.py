"""ERNIE at its published size for timing, and a small one trained on Chinese sentiment for accuracy.

Paddle is imported in the entry points alone, which run in an isolated process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.errors import TrainingError
from tasks.training.sentiment import LENGTH, sentiment

PUBLISHED_VOCABULARY, PUBLISHED_LENGTH = 18_000, 128
EPOCHS = 3
BATCH = 32
PEAK_RATE = 1e-3
WARM_UP = 0.1
WEIGHT_DECAY = 0.01
LARGEST_GRADIENT = 1.0

logger = logging.getLogger(__name__)


def export_ernie(folder: Path, progress: Callable[[int, int, str], None], *, seed: int = 0) -> None:
    """ERNIE base with random weights as `folder/model.*`: input `tokens` int64 [-1, 128], 2 classes.

    LayerNorm keeps random activations sane, so the time is that of a trained model.
    """
    import paddle

    from tasks.training.encoder_network import Ernie, Size, export

    paddle.seed(seed)
    size = Size(vocabulary=PUBLISHED_VOCABULARY, length=PUBLISHED_LENGTH)
    export(Ernie(size), size.length, folder)
    progress(1, 1, "exported")


def random_tokens(count: int, seed: int) -> tuple[npt.NDArray[np.int64], None]:
    """Ids [count, 128] without padding, the common ones more often, as in text; no labels."""
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
) -> None:
    """Trains ERNIE's architecture on `sentiment`, exports it as `folder/model.*`, input `tokens`.

    Raises: DataError without the corpus, TrainingError when the loss is not finite.
    """
    import paddle

    from tasks.training.encoder_network import Ernie, Size, export

    tokens, labels = sentiment("train", length, corpus)
    paddle.seed(seed)
    network = Ernie(
        Size(vocabulary=int(tokens.max()) + 1, length=length, layers=layers, hidden=hidden, heads=heads)
    )
    steps = epochs * (len(tokens) // BATCH)
    rate = paddle.optimizer.lr.OneCycleLR(peak_rate, total_steps=steps, phase_pct=WARM_UP)
    optimizer = paddle.optimizer.AdamW(
        rate,
        parameters=network.parameters(),
        weight_decay=WEIGHT_DECAY,
        grad_clip=paddle.nn.ClipGradByGlobalNorm(LARGEST_GRADIENT),
    )
    random = np.random.default_rng(seed)
    for step in range(1, steps + 1):
        if (step - 1) % (len(tokens) // BATCH) == 0:
            order = random.permutation(len(tokens))
        rows = order[(step - 1) % (len(tokens) // BATCH) * BATCH :][:BATCH]
        logits = network(paddle.to_tensor(tokens[rows]))
        loss = paddle.nn.functional.cross_entropy(logits, paddle.to_tensor(labels[rows]))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        rate.step()
        value = float(loss)
        if not np.isfinite(value):
            raise TrainingError(
                found=f"loss {value} in step {step} of {steps}",
                required="finite values",
                remedy="lower `peak_rate` in `model.arguments`",
            )
        progress(step, steps, f"loss {value:.3f}")
        logger.info("step %d of %d, loss %.4f", step, steps, value)
    export(network, length, folder)
