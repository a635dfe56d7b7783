"""Rendered lines of text, upright and upside down."""

from __future__ import annotations

import numpy as np

from paddle_int8.zoo.text_lines import HEIGHT, WIDTH, turned


def test_every_second_line_is_upside_down() -> None:
    lines, labels = turned(4, seed=1)
    assert lines.shape == (4, HEIGHT, WIDTH, 3)
    assert labels.tolist() == [0, 1, 0, 1]
    assert (lines < 120).all(axis=3).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(lines, turned(4, seed=1)[0])
    assert len(np.unique(lines.reshape(4, -1), axis=0)) == 4
