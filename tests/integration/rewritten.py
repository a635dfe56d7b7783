"""Each rewrite on a model as it was exported. Isolated processes only."""

from __future__ import annotations

from pathlib import Path

from paddle_int8.tasks.engines.paddle.files import ModelSource
from paddle_int8.tasks.engines.paddle.rewrites.repairs import REWRITES


def rewrite_each(source: ModelSource, target: Path) -> dict[str, tuple[int, Path]]:
    """By rewrite, how often it matched, and a folder of the model after it.

    A rewrite that matches nothing shall change nothing. So those that match nothing share a program with the
    next one that matches, and a folder: most find nothing to do in most models.
    """
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    found: dict[str, tuple[int, Path]] = {}
    loaded, folder = load_program(source), target / REWRITES[0].name
    for rewrite, following in zip(REWRITES, (*REWRITES[1:], None), strict=True):
        matches = rewrite.apply(loaded)
        found[rewrite.name] = matches, folder
        if matches or following is None:
            save_program(loaded, folder)
        if matches and following is not None:
            loaded, folder = load_program(source), target / following.name
    return found
