"""Runs a training entry point, built in or the user's own, in the isolated process."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import logging
from functools import partial
from pathlib import Path
from typing import Any

from tasks.calibration.sources import resolve
from tasks.callables import require_allowed
from tasks.config import TrainedModel
from tasks.errors import DataError, PipelineError, TrainingError
from tasks.progress import report
from tasks.store import file_digest

STEP = "train model"
FILES = ("model.pdmodel", "model.pdiparams")

logger = logging.getLogger(__name__)


def run_training(config: TrainedModel, folder: Path, checkpoint: Path | None = None) -> None:
    """Calls `function(folder, progress, **arguments)` and checks that it exported a model.

    checkpoint: a folder that outlives a killed run, for functions that have a parameter of this name.
    Raises: TrainingError when it did not, or raised anything but a PipelineError; DataError when there
    is no such function.
    """
    function: Any = resolve(config.train)
    try:
        resumable = (
            {"checkpoint": checkpoint} if "checkpoint" in inspect.signature(function).parameters else {}
        )
        function(folder, partial(report, STEP), **(resumable | config.arguments))
    except PipelineError:
        raise
    except Exception as error:  # the user's own code may raise anything
        logger.exception("%s failed", config.train)
        raise TrainingError(
            found=f"{config.train} raised {type(error).__name__}: {error}",
            required="a function `(folder, progress, **arguments)` that trains and exports a model",
            remedy="correct the function or `model.arguments`; the log of this step has the traceback",
        ) from error
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise TrainingError(
            found=f"{config.train} wrote no {', '.join(missing)}",
            required=f"{' and '.join(FILES)} in the folder it is given",
            remedy="end it with `paddle.jit.save(model, str(folder / 'model'), input_spec=[...])`",
        )


def source_digest(config: TrainedModel) -> str:
    """SHA-256 of the module that `train` names, so that a changed recipe trains anew.

    Of a module in a package, the other modules beside it count too, since recipes share code.
    The module itself is not imported, as it may import Paddle.
    Raises: DataError when there is no such file.
    """
    require_allowed(config.train)  # finding a module imports its parents
    module = config.train.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
        file = Path(spec.origin or "") if spec else Path(module)
        beside = sorted(file.parent.glob("*.py")) if "." in module else []
        digests = [f"{each.name} {file_digest(each)}" for each in (file, *beside)]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()
    except (ImportError, ValueError, OSError) as error:
        raise DataError(
            found=f"no module {module} ({error})",
            required="`package.module:function` in a Python file",
            remedy="correct `model.train`; PYTHONPATH must reach the module",
        ) from error
