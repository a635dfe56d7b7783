"""Observes the activations of a model on calibration samples, once for all algorithms.

PaddleSlim runs the samples through the network anew for each of its algorithms. Here what they need is taken
in passes that they share, with PaddleSlim's own arithmetic: on the same activations every threshold equals
PaddleSlim's bit for bit.

Source: paddle/static/quantization/post_training_quantization.py, `_sample_*`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.vocabulary import Observed, QuantizedForm
from paddle_int8.tasks.engines.paddle.quantization.histogram import CHUNK, magnitude_counts, magnitude_range
from paddle_int8.tasks.engines.paddle.quantization.seen import Fields, checked, edges

AFTERWARDS = 2
"""What a calibrator reports when all samples have been seen: its thresholds, and its program."""
LEVELS = 127
FRACTIONS_FROM, FRACTIONS_STEP, FRACTIONS_TO = 0.3, 0.02, 1.0

Activations = Mapping[str, Array]
T = TypeVar("T")


class Spread(Protocol):
    """`map`, or that of a pool of threads."""

    def __call__(self, function: Callable[..., T], /, *items: Iterable[object]) -> Iterable[T]: ...


class Look(Protocol):
    """Looks at the activations of one batch. `spread` calls a function for many tensors."""

    def __call__(self, batch: Activations, spread: Spread) -> None: ...


class Observation(Protocol):
    """Looks at the batches in as many passes as it needs."""

    @property
    def passes(self) -> tuple[Look, ...]: ...

    def observed(self) -> dict[str, Fields]:
        """By tensor, what it found. Raises: KeyError before the last pass."""


def observation(kind: Observed, form: QuantizedForm) -> Observation:
    return Magnitudes() if kind is Observed.MAGNITUDES else Losses(signed=form is QuantizedForm.QDQ)


@dataclass(slots=True)
class Magnitudes:
    """Ranges and averages in a first pass; histograms, whose bins the ranges decide, in a second one."""

    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    averages: dict[str, list[float]] = field(default_factory=dict)
    counts: dict[str, Array] = field(default_factory=dict)
    ptf: dict[str, float] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    """By tensor, the number of the last batch in which it was not empty."""
    batches: list[int] = field(default_factory=lambda: [0, 0])

    @property
    def passes(self) -> tuple[Look, ...]:
        return self._range, self._count

    def observed(self) -> dict[str, Fields]:
        return {
            name: {
                "low": low,
                "high": high,
                "averages": self.averages[name],
                "counts": self.counts[name],
                "ptf": self.ptf[name],
            }
            for name, (low, high) in self.ranges.items()
        }

    def _range(self, batch: Activations, spread: Spread) -> None:
        for name, (low, high, average) in zip(batch, spread(batch_range, batch.values()), strict=True):
            checked(name, high)
            least, greatest = self.ranges.get(name, (low, high))
            self.ranges[name] = min(low, least), max(high, greatest)
            self.averages.setdefault(name, []).append(average)
            self.last[name] = self.batches[0]
        self.batches[0] += 1

    def _count(self, batch: Activations, spread: Spread) -> None:
        bins = [edges(*self.ranges[name]) for name in batch]
        for name, counts in zip(batch, spread(magnitude_counts, batch.values(), bins), strict=True):
            self.counts[name] = self.counts[name] + counts if name in self.counts else counts
        ending = {name: values for name, values in batch.items() if self.last[name] == self.batches[1]}
        self.ptf |= zip(ending, spread(ptf_threshold, ending.values()), strict=True)
        self.batches[1] += 1


@dataclass(slots=True)
class Losses:
    """PaddleSlim's searches `mse` and `emd`, in one pass.

    signed: whether values below 0 are rounded too, as for `qdq`. For `offline` PaddleSlim counts them as 0.
    """

    signed: bool
    best: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    """By tensor and search, the least loss and its threshold."""

    @property
    def passes(self) -> tuple[Look, ...]:
        return (self._search,)

    def observed(self) -> dict[str, Fields]:
        return {name: {"mse": found["mse"][1], "emd": found["emd"][1]} for name, found in self.best.items()}

    def _search(self, batch: Activations, spread: Spread) -> None:
        def search(name: str, values: Array) -> dict[str, tuple[float, float]]:
            nothing = {"mse": (float("inf"), float("nan")), "emd": (float("inf"), float("nan"))}
            best = dict(self.best.get(name, nothing))
            for threshold, losses in fraction_losses(values.reshape(-1), signed=self.signed):
                for kind, loss in losses.items():
                    if loss <= best[kind][0]:
                        best[kind] = loss, threshold
            return best

        found = list(spread(search, batch.keys(), batch.values()))
        self.best |= zip(batch, found, strict=True)


def batch_range(values: Array) -> tuple[float, float, float]:
    """Least and greatest magnitude, and the mean over samples of a sample's greatest one.

    values: [samples, ...], not empty.
    """
    rows = values.reshape(len(values), -1)
    together = max(1, CHUNK // rows.shape[1])
    lows, maxima = [], np.empty(len(rows), values.dtype)
    for start in range(0, len(rows), together):
        part = rows[start : start + together]
        if len(part) == 1:
            low, maxima[start] = magnitude_range(part)
        else:
            magnitudes = np.abs(part)
            low, maxima[start : start + together] = float(magnitudes.min()), magnitudes.max(axis=1)
        lows.append(low)
    return float(np.min(lows)), float(maxima.max()), float(np.mean(maxima))


def ptf_threshold(values: Array) -> float:
    """The power-of-two fraction of the greatest magnitude with the least squared error, as PaddleSlim does.

    Source: Lin et al., "FQ-ViT", IJCAI 2022, as PaddleSlim adopted it: negative values count as 0.
    """
    smallest = float(np.max(np.abs(values))) / LEVELS / 2 / 2 / 2
    losses = []
    with np.errstate(divide="ignore", invalid="ignore"):  # a tensor of zeros has none, and the threshold 0
        for scale in (smallest, smallest * 2, smallest * 4, smallest * 8):
            rounded = np.clip(np.round(values / scale), 0, LEVELS) * scale
            losses.append(((values - rounded) ** 2).mean())
    return float(LEVELS * (smallest * 2 ** losses.index(min(losses))))


def fraction_losses(values: Array, *, signed: bool) -> Iterator[tuple[float, dict[str, float]]]:
    """Each fraction of the greatest magnitude as a threshold, with the losses `mse` and `emd` there.

    values: float32 [n], not empty.
    """
    greatest = float(np.max(np.abs(values))) or 1e-8
    mean, deviation = np.mean(values), np.std(values)
    rounded, work = np.empty_like(values), np.empty_like(values)
    fraction = FRACTIONS_FROM
    while fraction <= FRACTIONS_TO:
        threshold = fraction * greatest
        fraction += FRACTIONS_STEP
        _round(values, threshold, rounded, signed=signed)
        np.subtract(values, rounded, out=work)
        np.square(work, out=work)
        mse = work.mean()
        emd = np.abs(mean - np.mean(rounded)) + np.abs(deviation - np.std(rounded))
        yield threshold, {"mse": float(mse), "emd": float(emd)}


def _round(values: Array, threshold: float, rounded: Array, *, signed: bool) -> None:
    """Writes `values` as INT8 holds them into `rounded`, a part at a time that stays in a core's caches."""
    for start in range(0, values.size, CHUNK):
        part = values[start : start + CHUNK]
        out = rounded[start : start + CHUNK]
        if signed:
            np.divide(part, threshold, out=out)
            np.multiply(out, LEVELS, out=out)
            np.rint(out, out=out)
            np.clip(out, -LEVELS - 1, LEVELS, out=out)
        else:
            np.clip(part, 0.0, threshold, out=out)
            np.divide(out, threshold, out=out)
            np.multiply(out, LEVELS, out=out)
            np.rint(out, out=out)
        np.divide(out, LEVELS, out=out)
        np.multiply(out, threshold, out=out)
