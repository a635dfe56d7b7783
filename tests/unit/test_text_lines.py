"""Rendered lines of text: upright and upside down, and with what is written in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.zoo.text_lines import ALPHABET, HEIGHT, READ_WIDTH, WIDTH, turned, written
from paddle_int8.zoo.text_pages import LETTERS


def test_every_second_line_is_upside_down() -> None:
    lines, labels = turned(4, seed=1)
    assert lines.shape == (4, HEIGHT, WIDTH, 3)
    assert labels.tolist() == [0, 1, 0, 1]
    assert (lines < 120).all(axis=3).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(lines, turned(4, seed=1)[0])
    assert len(np.unique(lines.reshape(4, -1), axis=0)) == 4


def test_labels_are_the_places_of_the_letters_in_the_alphabet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDLE_INT8_DATA", str(tmp_path))
    with pytest.raises(DataError, match="make data"):
        written(1, seed=1)
    alphabet = tmp_path / ALPHABET
    alphabet.parent.mkdir(parents=True)
    alphabet.write_text("\n".join(["的", *LETTERS.tolist()]), encoding="utf-8")
    lines, labels = written(20, seed=1)
    assert lines.shape == (20, HEIGHT, READ_WIDTH, 3)
    assert min(label.min() for label in labels) >= 1
    assert max(label.max() for label in labels) == len(LETTERS)
    assert {len(label) for label in labels} == set(range(3, 12))
