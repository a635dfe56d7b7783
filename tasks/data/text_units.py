"""Text cut into words of a dictionary, the units of models that take an id a word where they know it.

Source: LAC, `segment.py` and `reader.py`, whose cuts these are.
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
    """Score of each word, None for what only begins one; `rare` is that of a character that is no word."""

    scores: Mapping[str, float | None]
    rare: float


def read_dictionary(lines: Iterable[str], path: Path) -> Dictionary:
    """Of `word count` lines; others are passed over.

    LAC's score of a word is log(characters / sum of all counts): a single word's own count has no part in it.
    Raises: DataError when there is no word, or a count is no number.
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
    """The words of the highest sum of scores, the longer first of equal ones.

    Letters and digits that end up alone beside each other are one word.
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
    """Ends and scores of every word that begins at `start`; a single character is always one."""
    first = dictionary.scores.get(text[start])
    yield start + 1, dictionary.rare if first is None else first
    for end in range(start + 1, len(text) + 1):
        word = text[start:end]
        if word not in dictionary.scores:
            return
        score = dictionary.scores[word]
        if score is not None and end > start + 1:
            yield end, score
