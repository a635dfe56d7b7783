"""The published image architectures at their published size, for timing, with realistic activations.

With Paddle's own random initialisation, activations vanish into denormal numbers, which are slow. So the
weights are Kaiming's, and the BatchNorm statistics are those of a few batches.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.engines.paddle.private.networks import set_momentum
from paddle_int8.tasks.store.folder import file_digest

SIDE = 224
COARSE = 14
BATCHES = 3
BATCH = 4


def export_architecture(
    folder: Path, progress: Callable[[int, int, str], None], *, name: str, seed: int = 0
) -> None:
    """Exports `paddle.vision.models.<name>` with 1,000 classes as `folder/model.*`.

    Its input is `image` [-1, 3, 224, 224].
    """
    import paddle
    from paddle import nn

    paddle.seed(seed)
    network = getattr(paddle.vision.models, name)()
    kaiming = nn.initializer.KaimingNormal()
    for layer in network.sublayers():
        if isinstance(layer, nn.Conv2D | nn.Linear):
            kaiming(layer.weight)
    norms = [layer for layer in network.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    for norm in norms:
        set_momentum(norm, 0.5)
    network.train()
    with paddle.no_grad():
        for batch in range(BATCHES if norms else 0):
            taken, _ = pictures(BATCH, seed=seed + batch)
            network(paddle.to_tensor((taken.transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)))
            progress(batch + 1, BATCHES, "BatchNorm statistics")
    network.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])


def export_pretrained(
    folder: Path, progress: Callable[[int, int, str], None], *, name: str, weights: str, digest: str
) -> None:
    """Exports `paddle.vision.models.<name>` with the weights of a `.pdparams` file as `folder/model.*`.

    digest: the file's SHA-256. As an argument it is part of the cache key, so other weights under the same
    path are another model.
    Raises: DataError when the file has another digest, or does not fit this architecture.
    """
    import paddle

    if file_digest(Path(weights)) != digest:
        raise DataError(found=f"{weights} has changed", required=digest, remedy="start again")
    state = paddle.load(weights, return_numpy=True)
    classes = [values.shape[1] for values in state.values() if values.ndim == 2][-1:]
    network = getattr(paddle.vision.models, name)(num_classes=classes[0] if classes else 0)
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(values.shape) for key, values in state.items() if key in wanted}
    if wanted != found or not classes:
        different = next((key for key in wanted if wanted[key] != found.get(key)), "any")
        raise DataError(
            found=f"{weights} without {different} {wanted.get(different, '')} of {name}",
            required=f"the weights of `paddle.vision.models.{name}`",
            remedy=f"save its `state_dict()`; export another {name} as a folder of this name instead",
        )
    network.set_state_dict(state)
    network.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])
    progress(1, 1, f"{classes[0]} classes")


def pictures(count: int, seed: int) -> tuple[npt.NDArray[np.uint8], None]:
    """Smooth random pictures [count, 224, 224, 3] without labels: a coarse random grid, enlarged."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, COARSE, COARSE, 3), dtype=np.uint8)
    factor = SIDE // COARSE
    return coarse.repeat(factor, axis=1).repeat(factor, axis=2), None
