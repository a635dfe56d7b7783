"""The training loop: it resumes where a killed run was, and stops when the loss is not finite.

Imports Paddle, so only functions of the isolated process import this module.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import paddle

from paddle_int8.tasks.contracts.errors import TrainingError
from paddle_int8.tasks.engines.paddle.private.guard import require_tested_paddle
from paddle_int8.tasks.engines.paddle.private.tensors import is_filled
from paddle_int8.tasks.engines.paddle.private.variables import is_dense
from paddle_int8.tasks.engines.paddle.training.checkpoint import Arrays, Checkpoint, Saved

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array
    from paddle_int8.tasks.engines.paddle.types import Program, Scope, Stateful, Tensor

REPORTED = 20
"""A reported loss or accuracy is the mean over this many steps."""

QUANTIZERS = ("fake_", "moving_average_")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Loss and accuracy of every step; `resumed_from` counts the steps that an earlier process had done."""

    losses: list[float]
    accuracies: list[float]
    resumed_from: int


class State(Protocol):
    """All that a step changes and reads, to be saved and put back."""

    def read(self) -> Arrays: ...

    def write(self, arrays: Arrays) -> None: ...


@dataclass(frozen=True, slots=True)
class NetworkState:
    """The state of a dynamic network: its parameters and buffers, and the optimizer's accumulators."""

    network: Stateful
    optimizer: Stateful

    def read(self) -> Arrays:
        return {
            kind + name: np.array(value)
            for kind, owner in self._owners().items()
            for name, value in owner.state_dict().items()
            if isinstance(value, paddle.Tensor)
        }

    def write(self, arrays: Arrays) -> None:
        for kind, owner in self._owners().items():
            own = {name.removeprefix(kind): each for name, each in arrays.items() if name.startswith(kind)}
            owner.set_state_dict({name: paddle.to_tensor(each) for name, each in own.items()})

    def _owners(self) -> dict[str, Stateful]:
        return {"network/": self.network, "optimizer/": self.optimizer}


@dataclass(frozen=True, slots=True)
class Variables:
    """Every persistable value of a program: parameters, BatchNorm statistics, the optimizer's and the
    quantizers' accumulators. A resumed run equals an uninterrupted one only with all of them.

    PaddleSlim numbers the quantizers' accumulators in the order of a hash table, which differs between
    processes. Here they are named after what they accumulate.
    """

    program: Program
    scope: Scope

    def read(self) -> Arrays:
        return {name: np.array(tensor) for name, tensor in self._tensors().items()}

    def write(self, arrays: Arrays) -> None:
        for name, tensor in self._tensors().items():
            tensor.set(arrays[name], paddle.CPUPlace())

    def _tensors(self) -> dict[str, Tensor]:
        known = self._accumulators()
        found = {}
        for variable in self.program.list_vars():
            stored = self.scope.find_var(variable.name)
            if variable.persistable and is_dense(variable) and stored is not None:
                tensor = stored.get_tensor()
                if is_filled(tensor):
                    found[known.get(variable.name, variable.name)] = tensor
        return found

    def _accumulators(self) -> dict[str, str]:
        """New names of the quantizers' variables: operator, tensor that it quantizes, and slot."""
        names: dict[str, str] = {}
        for op in self.program.global_block().ops:
            if op.type.startswith(QUANTIZERS):
                for slot in op.input_names:
                    for name in op.input(slot) if slot != "X" else ():
                        label = f"{op.type}/{op.input('X')[0]}/{slot}"
                        names[name] = min(label, names.get(name, label))
        return names


def fit(
    step: Callable[[int], tuple[float, float]],
    steps: int,
    state: State,
    checkpoint: Checkpoint | None,
    progress: Callable[[int, int, str], None],
    *,
    save_every_s: float = 60.0,
) -> History:
    """Calls `step(i)`, which returns loss and accuracy (NaN where there is none), for i below `steps`.

    What step i does may depend on i and on `state` alone, and then a resumed run does the same.
    Raises: TrainingError when the loss is not finite; InstallationError for a Paddle that was not tested.
    """
    require_tested_paddle()
    saved = checkpoint.load() if checkpoint else None
    if saved is None:
        losses, accuracies = [], []
    else:
        losses, accuracies = saved.losses, saved.accuracies
        state.write(saved.arrays)
        logger.info("going on after step %d of %d", len(losses), steps)
    resumed_from, last = len(losses), time.monotonic()
    for number in range(resumed_from, steps):
        paddle.seed(number)  # dropout draws from Paddle's generator, whose state is in no checkpoint
        loss, accuracy = step(number)
        if not math.isfinite(loss):
            raise TrainingError(
                found=f"loss {loss} in step {number + 1} of {steps}",
                required="finite values",
                remedy="lower the learning rate, or look for wrong inputs in the training data",
            )
        losses.append(loss)
        accuracies.append(accuracy)
        progress(number + 1, steps, _note(losses, accuracies))
        if checkpoint and time.monotonic() - last >= save_every_s and number + 1 < steps:
            checkpoint.save(Saved(arrays=state.read(), losses=losses, accuracies=accuracies))
            last = time.monotonic()
            logger.info("saved after step %d of %d, %s", number + 1, steps, _note(losses, accuracies))
    return History(losses=losses, accuracies=accuracies, resumed_from=resumed_from)


def epoch_rows(step: int, *, samples: int, batch: int, seed: int) -> Array:
    """The rows of a step's samples. Each epoch has an order of its own, which `seed` and the epoch decide."""
    per_epoch = max(1, samples // batch)
    epoch, position = divmod(step, per_epoch)
    order = np.random.default_rng((seed, epoch)).permutation(samples)
    return order[position * batch : (position + 1) * batch]


def cosine_rate(step: int, steps: int, peak: float, *, warm_up: float = 0.1) -> float:
    """The learning rate of a step: it rises linearly to `peak` in the first `warm_up` of the steps, and then
    falls along half a cosine to nearly nothing."""
    rising = max(1, round(warm_up * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def _note(losses: list[float], accuracies: list[float]) -> str:
    recent = [value for value in accuracies[-REPORTED:] if not math.isnan(value)]
    loss = sum(losses[-REPORTED:]) / len(losses[-REPORTED:])
    right = f", {100 * sum(recent) / len(recent):.1f} % right" if recent else ""
    return f"loss {loss:.3f}{right}"
