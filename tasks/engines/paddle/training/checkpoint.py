"""The state of a training on disk, with which a killed run goes on as if it had never been killed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[np.generic]]
FILE = "checkpoint.npz"
VALUE, LOSS, ACCURACY = "value/", "loss", "accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A saved state. `losses` and `accuracies` are those of the steps done so far, one for each step."""

    arrays: Arrays
    losses: list[float]
    accuracies: list[float]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One file in `folder`, whole or absent. The caller names the folder after the training."""

    folder: Path

    def save(self, saved: Saved) -> None:
        """Replaces what was saved. Raises: OSError when the disk is full."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{os.getpid()}.partial"
        content: Arrays = {VALUE + name: values for name, values in saved.arrays.items()}
        content |= {LOSS: np.array(saved.losses), ACCURACY: np.array(saved.accuracies)}
        with partial.open("wb") as stream:
            np.savez(stream, **content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self.folder / FILE)

    def load(self) -> Saved | None:
        """What was saved last, None when nothing was."""
        try:
            with np.load(self.folder / FILE, allow_pickle=False) as stored:
                return Saved(
                    arrays={
                        name.removeprefix(VALUE): stored[name]
                        for name in stored.files
                        if name.startswith(VALUE)
                    },
                    losses=stored[LOSS].tolist(),
                    accuracies=stored[ACCURACY].tolist(),
                )
        except FileNotFoundError:
            return None

    def clear(self) -> None:
        """Deletes the checkpoint, once the result of the training is safe elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)
