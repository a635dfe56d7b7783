"""Makes channels of a trained model unequal in range, and leaves its answers as they are.

Short trainings of small networks give channels like ranges, so that INT8 loses nothing. The transformers that
lose most have outlier channels behind their norms. Isolated process only.
"""

from __future__ import annotations

from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.engines.paddle.blocks import value
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.rewrites.smoothing import divide, smoothable


class Unevenness(TypedDict):
    """The arguments of `make_uneven` beside the folder."""

    norms: int
    decades: float
    seed: NotRequired[int]


def make_uneven(folder: Path, *, norms: int, decades: float, seed: int = 0) -> None:
    """Writes the model in `folder` anew.

    norms: how many layer norms write one channel larger by 10 to the power of `decades`; the layers behind
    take it back.
    """
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    loaded, random = load_program(find_model(ModelFiles(path=folder))), np.random.default_rng(seed)
    places = [each for each in smoothable(loaded.program.global_block()) if each.alone]
    for place in sorted(random.choice(len(places), norms, replace=False)):
        factor = np.ones(value(loaded, places[place].norm.input("Scale")[0]).size, np.float32)
        factor[random.integers(len(factor))] = 10**-decades
        divide(loaded, places[place], factor)
    save_program(loaded, folder)
