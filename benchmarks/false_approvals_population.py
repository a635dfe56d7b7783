"""The population of `benchmarks.false_approvals`: samples, what models answer for them, and noised labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.engines.paddle.switches import BASELINE, QUANTIZED, Switches
from paddle_int8.tasks.process.isolated import run_isolated
from tests.e2e.planted import export
from tests.e2e.small_inputs import CLASSES, noise, save_data

POOL, FACTOR = 40_000, 30.0
"""Samples of the population, and how much wider one channel of the network is."""
PART, OF = 2_000, 4
"""The pool is made in parts of `PART` samples. They are the hardest of `OF` times as many."""
NOISE = 0.05
"""The share of the labels that are drawn at random, whatever the models answer."""
TIMEOUT_S = 600
Classes = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The pool, and the answers of models on it, which are kept in `folder`."""

    folder: Path

    @property
    def images(self) -> NDArray[np.float32]:
        images: NDArray[np.float32] = np.load(self.folder / "pool.npy", mmap_mode="r")
        return images

    @property
    def baseline(self) -> Classes:
        return self._answers("fp32", self.folder / "model", BASELINE)

    def of(self, name: str, digest: str) -> Classes:
        """The answers of a candidate that a release has made."""
        model = Settings().store / "deployable" / digest[:32]
        return self._answers(f"{name}-{digest[:12]}", model, QUANTIZED)

    def known(self) -> list[Classes]:
        """The answers of all candidates so far."""
        paths = sorted((self.folder / "answers").glob("*.npy"))
        return [np.load(path) for path in paths if path.stem != "fp32"]

    def _answers(self, name: str, model: Path, switches: Switches) -> Classes:
        path = self.folder / "answers" / f"{name}.npy"
        if not path.exists():
            options = {"step": "answer", "log": self.folder / "answers.log", "timeout_s": TIMEOUT_S}
            run_isolated(answer, self.folder, model, switches, path, **options)
        found: Classes = np.load(path)
        return found


def answer(folder: Path, model: Path, switches: Switches, path: Path) -> None:
    """Writes the class that a model answers for each sample of the pool. Runs in an isolated process."""
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of

    predictor = open_predictor(spec_of(model, switches, 1))
    images = np.load(folder / "pool.npy", mmap_mode="r")
    batches = (images[start : start + 16] for start in range(0, len(images), 16))
    found = [predictor.run({"image": np.ascontiguousarray(batch)})[0].argmax(axis=1) for batch in batches]
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    with partial.open("wb") as file:
        np.save(file, np.concatenate(found))
    partial.rename(path)


def populated(folder: Path) -> Population:
    """The population, which is made once."""
    log = folder / "export.log"
    if not (folder / "pool.npy").exists():
        run_isolated(export, "images", 0, folder, FACTOR, step="export", log=log, timeout_s=TIMEOUT_S)
        save_data(folder / "calibration.npz", 16, seed=1)
        run_isolated(close_calls, folder, step="draw the pool", log=log, timeout_s=TIMEOUT_S)
    return Population(folder=folder)


def close_calls(folder: Path) -> None:
    """Writes the pool: of all drawn noise, the `OF`-th part of which FP32 is least sure. Runs isolated.

    On other samples all mixes answer as FP32 does, so that no choice of labels could make a mix wrong.
    """
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of

    predictor = open_predictor(spec_of(folder / "model", BASELINE, 1))
    parts = []
    for part in range(POOL // PART):
        images = noise(OF * PART, seed=100 + part)
        batches = (images[start : start + 100] for start in range(0, len(images), 100))
        ranked = np.sort(np.concatenate([predictor.run({"image": each})[0] for each in batches]), axis=1)
        parts.append(images[np.argsort(ranked[:, -1] - ranked[:, -2])[:PART]])
    with (folder / "pool.partial").open("wb") as file:
        np.save(file, np.concatenate(parts))
    (folder / "pool.partial").rename(folder / "pool.npy")


def drop_pp(labels: Classes, baseline: Classes, candidate: Classes) -> float:
    """The true drop on the population, in percentage points."""
    before, after = (np.count_nonzero(each == labels) / len(labels) for each in (baseline, candidate))
    return 100 * (before - after)


def noised(
    draw: np.random.Generator, baseline: Classes, candidates: Sequence[Classes], target_pp: float
) -> Classes:
    """Labels with which the drop of each candidate is the target or a little more, where that can be.

    They begin as FP32's answers, and some are replaced at random. Where a candidate loses too much, some
    labels on which it differs from FP32 become its own answers, until it loses no more than it should.
    """
    baseline, *candidates = (each.astype(np.int8) for each in (baseline, *candidates))  # compares faster
    labels = baseline.copy()
    replaced = draw.random(len(labels)) < NOISE
    labels[replaced] = draw.integers(0, CLASSES, int(replaced.sum()))
    step_pp, share = 200 / len(labels), 0.2
    for _ in range(5_000):
        excess = [drop_pp(labels, baseline, each) - target_pp for each in candidates]
        if max(excess, default=0.0) < step_pp:
            break
        worst = candidates[int(np.argmax(excess))]
        free = (labels == baseline) & (worst != baseline)
        for each, own in zip(candidates, excess, strict=True):
            if own < step_pp:
                free &= each == baseline
        count = min(max(1, int(share * max(excess) / step_pp)), int(free.sum()))
        if not count:
            break
        changed = labels.copy()
        rows = draw.choice(np.flatnonzero(free), count, replace=False)
        changed[rows] = worst[rows]
        if count > 1 and any(
            own >= 0 > drop_pp(changed, baseline, each) - target_pp
            for each, own in zip(candidates, excess, strict=True)
        ):
            share /= 2
            continue
        labels = changed
    return labels.astype(np.int64)
