"""Trains an image classifier as a static program, whose convolutions run in oneDNN.

It imports Paddle, so only functions that run in an isolated process may import this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import paddle
from paddle import nn

from paddle_int8.tasks.contracts.errors import TrainingError
from paddle_int8.tasks.engines.paddle.blocks import tensor_of
from paddle_int8.tasks.engines.paddle.private.networks import groups_of, learning_rate_of, stride_of
from paddle_int8.tasks.engines.paddle.quantization.trainable import use_onednn
from paddle_int8.tasks.engines.paddle.training.checkpoint import Checkpoint
from paddle_int8.tasks.engines.paddle.training.loop import Variables, cosine_rate, epoch_rows, fit
from paddle_int8.tasks.process.limits import own_threads
from paddle_int8.zoo.growth import Weights, deepen

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Variable

MOMENTUM, NOISE = 0.9, 0.3
OPTIMIZERS = {
    "adamw": partial(paddle.optimizer.AdamW, weight_decay=0.01),
    "sgd": partial(paddle.optimizer.Momentum, momentum=MOMENTUM, use_nesterov=True, weight_decay=5e-4),
}
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How a classifier is trained.

    optimizer: `adamw`, or `sgd` with Nesterov's momentum; each needs another `peak_rate`.
    epochs: passes over the pictures, which may be a fraction of one.
    """

    epochs: float
    batch: int
    optimizer: str
    peak_rate: float
    seed: int
    save_every_s: float = 60.0


def train(
    build: Callable[[], nn.Layer],
    inputs: Callable[[Rows], npt.NDArray[np.float32]],
    labels: npt.NDArray[np.int64],
    schedule: Schedule,
    progress: Callable[[int, int, str], None],
    checkpoint: Checkpoint | None,
    *,
    side: int,
    grown_from: Weights | None = None,
) -> Weights:
    """Trains the network that `build` makes, and returns its weights by name.

    inputs: a function that returns the pictures of the given rows, [N, 3, side, side].
    grown_from: weights of the network's shallow form, from which training starts (see `zoo.growth`).
    Raises: TrainingError when the loss or a trained value is not finite.
    """
    paddle.enable_static()
    paddle.set_flags({"FLAGS_paddle_num_threads": _threads()})
    main, startup = paddle.static.Program(), paddle.static.Program()
    scope = paddle.static.Scope()
    with paddle.static.program_guard(main, startup), paddle.static.scope_guard(scope):
        paddle.seed(schedule.seed)
        network = build()
        image = paddle.static.data("image", [None, 3, side, side], "float32")
        label = paddle.static.data("label", [None, 1], "int64")
        scores = network(image)
        loss = paddle.nn.functional.cross_entropy(scores, label)
        optimizer = OPTIMIZERS[schedule.optimizer](schedule.peak_rate, parameters=network.parameters())
        optimizer.minimize(loss)
        use_onednn(main)
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(startup)
        near_identity(network, np.random.default_rng(schedule.seed))
        close_branches(network)
        if grown_from is not None:
            deepen(network, grown_from, put)
        rate = tensor_of(scope, learning_rate_of(optimizer))
        steps = max(1, round(schedule.epochs * len(labels)) // schedule.batch)

        def step(number: int) -> tuple[float, float]:
            now = cosine_rate(number, steps, schedule.peak_rate)
            rate.set(np.array([now], np.float32), paddle.CPUPlace())
            rows = epoch_rows(number, samples=len(labels), batch=schedule.batch, seed=schedule.seed)
            feed = {"image": inputs(rows), "label": labels[rows, None]}
            found, said = executor.run(main, feed=feed, fetch_list=[loss, scores])
            return float(found), float((said.argmax(axis=1) == labels[rows]).mean())

        state, every = Variables(main, scope), schedule.save_every_s
        fit(step, steps, state, checkpoint, progress, save_every_s=every)
        return _finite(
            {
                name: np.array(tensor_of(scope, variable.name))
                for name, variable in network.state_dict().items()
            }
        )


def export(build: Callable[[], nn.Layer], weights: Weights, folder: Path, *, side: int) -> None:
    """Exports what `build` makes as `folder/model.*`; the input is `image` [-1, 3, side, side]."""
    paddle.disable_static()
    trained = build()
    trained.set_state_dict(dict(weights))
    trained.eval()
    spec = paddle.static.InputSpec([None, 3, side, side], "float32", "image")
    paddle.jit.save(trained, str(folder / "model"), input_spec=[spec])


def _threads() -> int:
    """How many threads to train with; Paddle itself would use one."""
    return int(os.environ.get("OMP_NUM_THREADS") or own_threads())


def near_identity(network: nn.Layer, random: np.random.Generator) -> None:
    """Initialises depthwise convolutions near the identity, or near the average where they have a stride.

    Deep networks without shortcuts then learn in some 200 steps. A batch-norm shift of 1 keeps most of the
    signal above the zero of ReLU. Pointwise convolutions stay random: an identity would give every channel
    one weight that is much larger than the others, and 8 bits represent such weights badly.
    Source: after Zagoruyko & Komodakis 2017, DiracNets, arXiv:1706.00388.
    """
    layers = network.sublayers()
    if not any(isinstance(layer, paddle.nn.Conv2D) and groups_of(layer) > 1 for layer in layers):
        return
    for layer in layers:
        if isinstance(layer, paddle.nn.BatchNorm2D):
            put(layer.bias, np.ones(layer.bias.shape))
        elif isinstance(layer, paddle.nn.Conv2D) and groups_of(layer) > 1:
            side = layer.weight.shape[-1]
            average = np.full((side, side), 1 / side**2)
            kernel = average if stride_of(layer) == 2 else np.pad([[1.0]], side // 2)
            put(layer.weight, kernel + NOISE / 3 * random.normal(size=layer.weight.shape))


def close_branches(network: nn.Layer) -> None:
    """Initialises every residual block as the identity: the last batch norm of its branch multiplies by zero.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 5.1.
    """
    for block in network.sublayers():
        last = getattr(block, "bn3", None) or getattr(block, "bn2", None)
        if last is not None and hasattr(block, "downsample"):
            put(last.weight, np.zeros(last.weight.shape))


def put(variable: Variable, value: npt.NDArray[np.float64]) -> None:
    tensor = tensor_of(paddle.static.global_scope(), variable.name)
    tensor.set(value.astype(np.float32), paddle.CPUPlace())


def _finite(weights: Weights) -> Weights:
    for name, values in weights.items():
        if not np.isfinite(values).all():
            raise TrainingError(
                found=f"NaN or infinity in {name} after the last step",
                required="finite values",
                remedy="lower `peak_rate` in `model.arguments`",
            )
    return weights
