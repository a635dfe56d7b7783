"""Training functions for the models of the published table in tests."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from paddle_int8.tasks.process.pace import Patience

Progress = Callable[[int, int, str], None]


def train_together(folder: Path, progress: Progress, *, name: str, model: str, meeting: str) -> None:
    """Ends when as many trainings are under way as may be at a time; notes its threads."""
    (Path(meeting) / name).write_text(os.environ["OMP_NUM_THREADS"])
    patience = Patience(60)
    while len(list(Path(meeting).iterdir())) < 2:
        assert not patience.is_over(), "alone"
        time.sleep(0.1)
    hand_over(folder, progress, model=model)


def hand_over(folder: Path, progress: Progress, *, model: str) -> None:
    """Nothing is trained: the model is there."""
    for file in Path(model).iterdir():
        shutil.copy(file, folder / file.name)


def fail(folder: Path, progress: Progress, *, counted: str) -> None:
    with Path(counted).open("a") as stream:
        stream.write("called\n")
    raise ValueError("the loss is not finite")
