"""Lines of digits: what they hold, how they are cut into windows, and how a reading is scored."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.errors import DataError, MeasurementError
from tasks.training.digit_lines import (
    DIGITS,
    FEATURES,
    HEIGHT,
    STEPS,
    STRIDE,
    WIDTH,
    WINDOW,
    line,
    lines,
    windows,
)
from tasks.training.digits import digits
from tasks.validation.sequence_metrics import ctc_character_accuracy, ctc_line_accuracy, edit_distance


def scores(*rows: list[int]) -> np.ndarray:
    """Scores that are greatest for the given classes."""
    return np.eye(5)[np.array(rows)]


def test_lines_hold_digits_of_their_split_and_are_the_same_each_time() -> None:
    found, labels = lines("validation", 3)
    again, _ = lines("validation", 3)
    assert [each.shape for each in found] == [(STEPS, FEATURES)] * 3
    assert all((one == other).all() for one, other in zip(found, again, strict=True))
    assert all(len(each) == DIGITS for each in labels)


def test_splits_of_lines_share_no_digit() -> None:
    train, validation = (
        {picture.tobytes() for picture in digits(split)[0]} for split in ("train", "validation")
    )
    assert not train & validation


def test_unknown_split_is_refused() -> None:
    with pytest.raises(DataError, match="split 'test'"):
        lines("test", 1)


def test_line_holds_every_digit_whole_in_order() -> None:
    pictures = np.stack([np.full((HEIGHT, 28), value, np.uint8) for value in (10, 20, 30, 40)])
    canvas = line(pictures, np.random.default_rng(0))
    assert canvas.shape == (HEIGHT, WIDTH)
    columns = canvas[0]
    assert [int((columns == value).sum()) for value in (10, 20, 30, 40)] == [28] * 4
    assert (np.diff(columns[columns > 0].astype(int)) >= 0).all()


def test_windows_overlap_and_keep_columns() -> None:
    canvas = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    cut = windows(canvas).reshape(STEPS, WINDOW, HEIGHT)
    assert (canvas[:, 2 * STRIDE : 2 * STRIDE + WINDOW] == cut[2].T).all()


def test_ctc_reading_collapses_repeats_and_drops_blanks() -> None:
    outputs = [scores([1, 1, 0, 1, 2, 2], [0, 3, 3, 3, 0, 0])]
    labels = np.array([[0, 0, 1], [2, -1, -1]])
    assert ctc_line_accuracy(outputs, labels).tolist() == [1.0, 1.0]
    assert ctc_line_accuracy(outputs, np.array([[0, 1, 1], [2, -1, -1]])).tolist() == [0.0, 1.0]


def test_ctc_character_accuracy_counts_edits() -> None:
    assert ctc_character_accuracy([scores([1, 0, 2])], np.array([[0, 1, 1, 2]])).tolist() == [0.5]
    assert ctc_character_accuracy([scores([1, 2, 3])], np.array([[3, -1]])).tolist() == [0.0]


@pytest.mark.parametrize(
    ("one", "other", "edits"), [([], [], 0), ([1, 2], [1, 3], 1), ([1, 2, 3], [2, 3], 1), ([], [1, 2], 2)]
)
def test_edit_distance(one: list[int], other: list[int], edits: int) -> None:
    assert edit_distance(one, other) == edits == edit_distance(other, one)


def test_ctc_without_lines_of_labels_is_refused() -> None:
    with pytest.raises(MeasurementError, match="characters of each line"):
        ctc_line_accuracy([scores([1])], np.array([1]))
