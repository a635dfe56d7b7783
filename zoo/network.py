"""Trains a dynamic classifier network with AdamW, in the loop of `tasks.engines.paddle.training.loop`.

It imports Paddle, so only functions that run in an isolated process may import this module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import paddle
from paddle import nn

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.engines.paddle.training.checkpoint import Checkpoint
from paddle_int8.tasks.engines.paddle.training.loop import History, NetworkState, cosine_rate, epoch_rows, fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained.

    batch: the number of samples in a step.
    largest_gradient: the norm to which all gradients together are clipped.
    """

    epochs: int
    batch: int
    peak_rate: float
    weight_decay: float = 0.0
    largest_gradient: float | None = None
    seed: int = 0
    save_every_s: float = 60.0


def train_network(
    network: nn.Layer,
    inputs: Array,
    labels: npt.NDArray[np.int64],
    recipe: Recipe,
    progress: Callable[[int, int, str], None],
    checkpoint: Path | None = None,
) -> History:
    """Trains `network`, which maps inputs [N, ...] to logits [N, classes], with cross-entropy on labels [N].

    Raises: TrainingError when the loss is not finite.
    """
    cut = paddle.nn.ClipGradByGlobalNorm(recipe.largest_gradient) if recipe.largest_gradient else None
    optimizer = paddle.optimizer.AdamW(
        recipe.peak_rate,
        parameters=network.parameters(),
        weight_decay=recipe.weight_decay,
        grad_clip=cut,
    )
    steps = recipe.epochs * max(1, len(labels) // recipe.batch)

    def step(number: int) -> tuple[float, float]:
        optimizer.set_lr(cosine_rate(number, steps, recipe.peak_rate))
        rows = epoch_rows(number, samples=len(labels), batch=recipe.batch, seed=recipe.seed)
        logits = network(paddle.to_tensor(inputs[rows]))
        loss = paddle.nn.functional.cross_entropy(logits, paddle.to_tensor(labels[rows]))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return float(loss), float((logits.numpy().argmax(axis=1) == labels[rows]).mean())

    return fit(
        step,
        steps,
        NetworkState(network, optimizer),
        Checkpoint(checkpoint) if checkpoint else None,
        progress,
        save_every_s=recipe.save_every_s,
    )
