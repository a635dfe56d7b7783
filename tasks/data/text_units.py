"""Cuts text into the words of a dictionary, for models that read an id for each word that they know.

The cuts are those of LAC. Source: its `segment.py` and `reader.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.contracts.errors import DataError

LETTER = re.compile("[a-zA-Z0-9]")


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A dictionary of words.

    scores: the score of each word; None for a text that is no word, but the beginning of one.
    rare: the score of a single character that is no word.
    """

    scores: Mapping[str, float | None]
    rare: float


def read_dictionary(lines: Iterable[str], path: Path) -> Dictionary:
    """Reads a dictionary of `word count` lines; other lines are skipped.

    As in LAC, the score of a word is log(its number of characters / sum of all counts). Its own count does
    not matter.
    Raises: DataError when there is no word, or a count is not a number.
    """
    counts = dict(fields for line in lines if len(fields := line.split(" ")) == 2)
    try:
        total = sum(map(int, counts.values()))
    except ValueError as error:
        raise DataError(
            found=f"{path}: {error}", required="`word count` lines", remedy="correct the file"
        ) from error
    if total < 1:
        raise DataError(
            found=f"no words in {path}", required="`word count` lines", remedy="give the model's dictionary"
        )
    rare = -math.log(total)
    scores: dict[str, float | None] = {word[:end]: None for word in counts for end in range(1, len(word))}
    return Dictionary(scores | {word: math.log(len(word)) + rare for word in counts}, rare)


def cut(text: str, dictionary: Dictionary) -> list[str]:
    """Cuts a text into the words whose scores have the highest sum; in a tie, the longer word comes first.

    Single letters and digits that end up next to each other are joined into one word.
    """
    best = [(0.0, 0)] * (len(text) + 1)
    for start in range(len(text) - 1, -1, -1):
        best[start] = max((score + best[end][0], end) for end, score in _words(text, start, dictionary))
    words: list[str] = []
    joining, start = False, 0
    while start < len(text):
        word = text[start : best[start][1]]
        letter = len(word) == 1 and LETTER.match(word) is not None
        if letter and joining:
            words[-1] += word
        else:
            words.append(word)
        joining, start = letter, best[start][1]
    return words


def _words(text: str, start: int, dictionary: Dictionary) -> Iterable[tuple[int, float]]:
    """The end and the score of every word that begins at `start`; a single character always counts as one."""
    first = dictionary.scores.get(text[start])
    yield start + 1, dictionary.rare if first is None else first
    for end in range(start + 1, len(text) + 1):
        word = text[start:end]
        if word not in dictionary.scores:
            return
        score = dictionary.scores[word]
        if score is not None and end > start + 1:
            yield end, score
