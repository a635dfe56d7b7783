"""Lines of digits: their content, the distortion of digits, and the score of a reading."""

from __future__ import annotations

import numpy as np
import pytest

from paddle_int8.tasks.contracts.errors import DataError, MeasurementError
from paddle_int8.tasks.data.metrics.sequences import ctc_character_accuracy, ctc_line_accuracy, edit_distance
from paddle_int8.zoo.digit_lines import DIGITS, HEIGHT, SPLITS, WIDTH, line, lines, split_digits
from paddle_int8.zoo.distortion import _sampled, distorted


def scores(*rows: list[int]) -> np.ndarray:
    """Scores that are greatest for the given classes."""
    return np.eye(5)[np.array(rows)]


def test_lines_hold_digits_of_their_split_and_are_the_same_each_time() -> None:
    found, labels = lines("validation", 3)
    again, _ = lines("validation", 3)
    assert [each.shape for each in found] == [(1, HEIGHT, WIDTH)] * 3
    assert all((one == other).all() for one, other in zip(found, again, strict=True))
    assert all(len(each) == DIGITS for each in labels)


def test_every_digit_of_a_split_is_in_as_many_lines_as_any_other() -> None:
    pictures, labels = split_digits("calibration")
    found, read = lines("calibration", len(labels))
    assert sorted(np.concatenate(read)) == sorted(np.repeat(labels, DIGITS))
    ink = sum(int(each.sum()) for each in found)
    assert ink == DIGITS * int(pictures.sum())


def test_splits_of_lines_share_no_digit() -> None:
    contents = [{picture.tobytes() for picture in split_digits(split)[0]} for split in SPLITS]
    assert [len(each) for each in contents] == [end - start for start, end in SPLITS.values()]
    assert len(set.union(*contents)) == sum(map(len, contents))


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


def test_distortion_is_another_for_each_picture_and_the_same_for_a_seed() -> None:
    pictures = np.repeat(split_digits("calibration")[0][:1], 3, axis=0)
    varied = distorted(pictures, np.random.default_rng(0))
    assert varied.shape == pictures.shape
    assert varied.dtype == np.uint8
    assert len({each.tobytes() for each in (pictures[0], *varied)}) == 4
    assert (varied == distorted(pictures, np.random.default_rng(0))).all()
    assert not (varied == distorted(pictures, np.random.default_rng(1))).all()


def test_distorted_digit_keeps_most_of_its_ink_near_its_place() -> None:
    pictures = split_digits("calibration")[0]
    varied = distorted(pictures, np.random.default_rng(0)).astype(float)
    kept = varied.sum(axis=(1, 2)) / pictures.sum(axis=(1, 2))
    assert 0.7 < np.median(kept) < 1.3
    together = (varied * pictures).sum(axis=(1, 2))
    alike = together / np.sqrt((varied**2).sum(axis=(1, 2)) * (pictures.astype(float) ** 2).sum(axis=(1, 2)))
    assert 0.5 < np.median(alike) < 0.99


def test_sampling_between_pixels_is_bilinear_and_zero_outside() -> None:
    pictures = np.arange(1, 10, dtype=np.uint8).reshape(1, 3, 3)
    rows, columns = np.mgrid[0:3, 0:3].astype(np.float32)[:, None]
    assert (_sampled(pictures, rows, columns) == pictures).all()
    between = _sampled(pictures, rows, columns + 0.5)[0]
    assert between.tolist() == [[1.5, 2.5, 1.5], [4.5, 5.5, 3], [7.5, 8.5, 4.5]]
    assert _sampled(pictures, rows - 9, columns).max() == 0


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
