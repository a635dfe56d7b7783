"""Rendered pages of text."""

from __future__ import annotations

import numpy as np

from paddle_int8.zoo.text_pages import pages


def test_pages_are_the_same_for_a_seed_and_differ_between_pages() -> None:
    taken, labels = pages(3, seed=1, height=96, width=128)
    again, _ = pages(3, seed=1, height=96, width=128)
    assert taken.shape == (3, 96, 128, 3)
    assert taken.dtype == np.uint8
    assert labels is None
    np.testing.assert_array_equal(taken, again)
    assert len(np.unique(taken.reshape(3, -1), axis=0)) == 3


def test_pages_hold_ink_on_paper() -> None:
    (page,), _ = pages(1, seed=2, height=160, width=200)
    dark = (page < 120).all(axis=2)
    assert 0.005 < dark.mean() < 0.4
