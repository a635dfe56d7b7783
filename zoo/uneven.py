"""Makes channels of a trained model unequal in range, and leaves its answers as they are.

After a short training the channels of a small network have similar ranges, and INT8 loses nothing. The
transformers that lose most have outlier channels behind their norms (Bondarenko et al. 2021,
arXiv:2109.12948), and networks for phones have them between two layers (Nagel et al. 2019,
arXiv:1906.04721). Isolated process only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.engines.paddle.blocks import overwrite, value
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.rewrites import equalisation, smoothing
from paddle_int8.tasks.engines.paddle.rewrites.batch_norms import fold_batch_norms

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram


class Unevenness(TypedDict, total=False):
    """The arguments of `make_uneven` beside the folder."""

    decades: float
    norms: int
    pairs: int
    seed: int


def make_uneven(folder: Path, *, decades: float, norms: int = 0, pairs: int = 0, seed: int = 0) -> None:
    """Writes the model in `folder` anew, with its batch norms folded.

    norms: in how many layer norms one output channel becomes 10**`decades` times as large. The layers that
    read it divide it again.
    pairs: in how many convolutions or products one output channel becomes so large too. The next layer
    divides it again. Only steps that keep such a factor, such as a ReLU or a pooling, stand between the two.
    """
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    loaded, random = load_program(find_model(ModelFiles(path=folder))), np.random.default_rng(seed)
    fold_batch_norms(loaded)
    block = loaded.program.global_block()
    behind_norms = [each for each in smoothing.smoothable(block) if each.alone]
    for place in sorted(random.choice(len(behind_norms), norms, replace=False)):
        norm = behind_norms[place]
        width = value(loaded, norm.norm.input("Scale")[0]).size
        smoothing.divide(loaded, norm, _one_larger(width, decades, random))
    between = equalisation.pairs_of(block)
    for place in sorted(random.choice(len(between), pairs, replace=False)):
        _widen(loaded, between[place], decades, random)
    save_program(loaded, folder)


def _widen(
    loaded: LoadedProgram, pair: equalisation.Pair, decades: float, random: np.random.Generator
) -> None:
    """Makes one channel between the two layers larger."""
    names = (pair.first.weight, pair.second.weight, *([pair.bias] if pair.bias else ()))
    values = {name: value(loaded, name) for name in names}
    width = values[pair.first.weight].shape[pair.first.outputs]
    equalisation.divide(values, pair, _one_larger(width, decades, random))
    for name, changed in values.items():
        overwrite(loaded, name, changed)


def _one_larger(width: int, decades: float, random: np.random.Generator) -> Array:
    """The divisors of the channels, [width]: 10**-`decades` for one that is drawn, and 1 for the others."""
    factor = np.ones(width, np.float32)
    factor[random.integers(width)] = 10**-decades
    return factor
