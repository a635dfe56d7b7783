"""Other preprocessings that pictures often have: FP32 being right more often with one is a strong hint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.arrays import Array

BYTE = 0.00392157
"""1/255, which turns the values of a byte into 0 to 1."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COLOURS = 3

Arithmetic = dict[str, object]
USUAL: tuple[Arithmetic, ...] = (
    {"scale": BYTE, "mean": IMAGENET_MEAN, "std": IMAGENET_STD},
    {"scale": BYTE, "mean": (0.5,), "std": (0.5,)},
    {"scale": BYTE, "mean": (), "std": ()},
    {"scale": 1.0, "mean": (), "std": ()},
)
"""The arithmetic of preprocessings in use: ImageNet's, -1 to 1, 0 to 1, and 0 to 255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A preprocessing to try. `reversed_colours`: the model is given blue, green, red."""

    preprocessing: Preprocessing
    reversed_colours: bool = False

    @property
    def words(self) -> str:
        said = arithmetic_in_words(self.preprocessing)
        return f"{said}, channels in the order blue, green, red" if self.reversed_colours else said

    def arithmetic(self) -> Preprocessing:
        """What to give to `normalise`, whose result `turned` completes."""
        given = self.preprocessing
        if not self.reversed_colours:
            return given
        return given.model_copy(update={"mean": given.mean[::-1], "std": given.std[::-1]})

    def turned(self, values: Array) -> Array:
        """The batch [N, C, H, W] or [N, H, W, C] with its channels in the order that the model is given."""
        if not self.reversed_colours:
            return values
        axis = 1 if self.preprocessing.layout == "NCHW" else 3
        return np.ascontiguousarray(np.flip(values, axis))


def alternatives(configured: Preprocessing, channels: int) -> tuple[Alternative, ...]:
    """The usual preprocessings other than the configured one, of pictures with so many channels."""
    usual = [
        configured.model_copy(update=each)
        for each in USUAL
        if channels == COLOURS or len(each["mean"]) < COLOURS  # type: ignore[arg-type]
    ]
    others = [each for each in usual if not _alike(each, configured)]
    orders = (False, True) if channels == COLOURS else (False,)
    found = [Alternative(preprocessing=each, reversed_colours=turned) for each in others for turned in orders]
    if channels == COLOURS:
        found.append(Alternative(preprocessing=configured, reversed_colours=True))
    return tuple(found)


def arithmetic_in_words(given: Preprocessing) -> str:
    """`scale: 0.00392157, mean: [0.5], std: [0.5]`, as a configuration says it."""
    parts = [f"scale: {given.scale:.6g}"]
    for name in ("mean", "std"):
        if values := getattr(given, name):
            parts.append(f"{name}: [{', '.join(f'{each:g}' for each in values)}]")
    return ", ".join(parts)


def _alike(one: Preprocessing, other: Preprocessing) -> bool:
    """Whether two are the same but for rounding."""
    return all(
        np.allclose(_full(one, name), _full(other, name), rtol=1e-3) for name in ("scale", "mean", "std")
    )


def _full(given: Preprocessing, name: str) -> Array:
    values = np.atleast_1d(getattr(given, name))
    return np.broadcast_to(values if values.size else np.array([float(name == "std")]), COLOURS)
