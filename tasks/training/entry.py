"""Runs a training entry point, built in or the user's own, in the isolated process."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

from tasks.calibration.sources import resolve
from tasks.config import TrainedModel
from tasks.errors import TrainingError
from tasks.progress import report
from tasks.store import file_digest

STEP = "train model"
FILES = ("model.pdmodel", "model.pdiparams")


def run_training(config: TrainedModel, folder: Path) -> None:
    """Calls `function(folder, progress, **arguments)` and checks that it exported a model.

    Raises: TrainingError when it did not; whatever the function raises.
    """
    function: Any = resolve(config.train)
    function(folder, partial(report, STEP), **config.arguments)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise TrainingError(
            found=f"{config.train} wrote no {', '.join(missing)}",
            required=f"{' and '.join(FILES)} in the folder it is given",
            remedy="end it with `paddle.jit.save(model, str(folder / 'model'), input_spec=[...])`",
        )


def source_digest(config: TrainedModel) -> str:
    """SHA-256 of the file that holds the function, so that a changed recipe trains anew."""
    return file_digest(Path(inspect.getfile(resolve(config.train))))
