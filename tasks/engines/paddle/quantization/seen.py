"""What a calibration saw of each activation, from which every algorithm finds its threshold.

It is written once for a model and its samples, and every candidate reads it: see `observation`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import numpy as np

from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import QuantizationError

BINS = 2048
"""PaddleSlim's number of bins."""
NUMBERS, COUNTS = "seen.json", "counts.npy"
DEAD_THRESHOLD = 1e-8
"""The threshold of an activation that was 0 throughout, as in PaddleSlim's `mse`: 0 has no finite scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of one tensor. Fields that were not observed have their defaults.

    low, high: its least and its greatest magnitude.
    averages: for each batch, the mean over samples of a sample's greatest magnitude.
    counts: int [BINS], how many magnitudes lie in each of the equal bins from `low` to `high`.
    ptf: the threshold of PaddleSlim's `ptf`, which the last batch decides.
    mse, emd: the thresholds of PaddleSlim's searches of these names.
    """

    low: float = math.nan
    high: float = math.nan
    averages: Sequence[float] = ()
    counts: Array = field(default_factory=lambda: np.zeros(BINS, np.int64))
    ptf: float = math.nan
    mse: float = math.nan
    emd: float = math.nan

    @property
    def edges(self) -> Array:
        """float64 [BINS + 1], as `np.histogram` makes them."""
        return edges(self.low, self.high)


class Fields(TypedDict, total=False):
    """Some fields of `Seen`."""

    low: float
    high: float
    averages: Sequence[float]
    counts: Array
    ptf: float
    mse: float
    emd: float


Threshold = Callable[[Seen, QuantizationConfig], float]
"""(what was seen of a tensor, the section `quantization`) -> threshold; 0 where all values were 0"""


def edges(low: float, high: float) -> Array:
    made: Array = np.histogram([], bins=BINS, range=(low, high))[1]
    return made


def merged(observed: Iterable[Mapping[str, Fields]]) -> dict[str, Seen]:
    """What observations of different kinds saw of each tensor, together."""
    fields: dict[str, Fields] = {}
    for each in observed:
        for name, more in each.items():
            fields[name] = fields.get(name, {}) | more
    return {name: Seen(**more) for name, more in fields.items()}


def save(observed: Mapping[str, Fields], folder: Path) -> None:
    """Writes `NUMBERS`, and `COUNTS` where there are any; both are read back as they were, bit for bit."""
    names = sorted(observed)
    numbers = {
        name: {field: value for field, value in observed[name].items() if field != "counts"} for name in names
    }
    (folder / NUMBERS).write_text(json.dumps(numbers), encoding="utf-8")
    if all("counts" in each for each in observed.values()):
        np.save(folder / COUNTS, np.array([observed[name]["counts"] for name in names], np.int64))


def load(folder: Path) -> dict[str, Fields]:
    """What `save` wrote."""
    numbers: dict[str, Fields] = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
    if (folder / COUNTS).exists():
        for fields, counts in zip(numbers.values(), np.load(folder / COUNTS), strict=True):
            fields["counts"] = counts
    return numbers


def checked(name: str, threshold: float) -> float:
    """`threshold`, or `DEAD_THRESHOLD` for 0. Raises: QuantizationError when it is not finite."""
    if not math.isfinite(threshold):
        raise QuantizationError(
            found=f"activation {name} reached {threshold} on the calibration data",
            required="finite activations",
            remedy="check the model's outputs and the preprocessing on the calibration samples",
        )
    return threshold or DEAD_THRESHOLD
