"""Renders pages of text for text detectors.

Name the function `paddle_int8.zoo.text_pages:pages` in a source of `kind: callable`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
WORDS, WORD_LENGTHS = (1, 4), (2, 10)
"""The ranges of words in a line and of letters in a word; the upper end is excluded."""
FONT_SIZES = (14, 30)
MARGIN, LEADING = 8, 1.6
PAPER, INK = (190, 256), (0, 90)


def pages(count: int, seed: int, height: int = 320, width: int = 320) -> tuple[npt.NDArray[np.uint8], None]:
    """Pages [count, height, width, 3] with lines of random words, without labels."""
    random = np.random.default_rng(seed)
    return np.stack([_page(random, height, width) for _ in range(count)]), None


def _page(random: np.random.Generator, height: int, width: int) -> npt.NDArray[np.uint8]:
    paper = Image.new("RGB", (width, height), tuple(random.integers(*PAPER, 3).tolist()))
    drawing, top = ImageDraw.Draw(paper), float(MARGIN)
    while top < height - FONT_SIZES[1]:
        size = int(random.integers(*FONT_SIZES))
        text = " ".join(_word(random) for _ in range(random.integers(*WORDS)))
        left = int(random.integers(MARGIN, max(MARGIN + 1, width // 3)))
        ink = tuple(random.integers(*INK, 3).tolist())
        drawing.text((left, top), text, fill=ink, font=ImageFont.load_default(size))
        top += size * LEADING + random.integers(0, size)
    return np.asarray(paper)


def _word(random: np.random.Generator) -> str:
    return "".join(random.choice(LETTERS, random.integers(*WORD_LENGTHS)).tolist())
