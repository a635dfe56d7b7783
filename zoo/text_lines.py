"""Renders lines of text for PP-OCR's direction classifier.

Name the function `paddle_int8.zoo.text_lines:turned` in a source of `kind: callable`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from paddle_int8.zoo.text_pages import INK, LETTERS, PAPER

HEIGHT, WIDTH = 48, 192
"""The size that PP-OCR brings its lines to."""
WORD_LENGTHS, FONT_SIZES = (3, 12), (24, 40)
"""The ranges of letters in a word and of font sizes; the upper end is excluded."""

Pictures = npt.NDArray[np.uint8]


def turned(count: int, seed: int) -> tuple[Pictures, npt.NDArray[np.int64]]:
    """Lines [count, HEIGHT, WIDTH, 3]; every second one is upside down and has the label 1."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 2
    lines = (_line(random) for _ in range(count))
    return np.stack(
        [line[::-1, ::-1] if label else line for line, label in zip(lines, labels, strict=True)]
    ), labels


def _line(random: np.random.Generator) -> Pictures:
    text = "".join(random.choice(LETTERS, random.integers(*WORD_LENGTHS)).tolist())
    paper = Image.new("RGB", (WIDTH, HEIGHT), tuple(random.integers(*PAPER, 3).tolist()))
    drawing, size = ImageDraw.Draw(paper), int(random.integers(*FONT_SIZES))
    while (font := ImageFont.load_default(size)).getlength(text) > WIDTH - 8:
        size -= 1
    left, top, right, bottom = drawing.textbbox((0, 0), text, font=font)
    ink = tuple(random.integers(*INK, 3).tolist())
    free = max(5, int(WIDTH - right + left) - 3)
    place = (random.integers(4, free) - left, (HEIGHT - bottom - top) / 2)
    drawing.text(place, text, fill=ink, font=font)
    return np.asarray(paper)
