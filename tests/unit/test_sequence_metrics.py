"""Word F1 and label accuracy of single sentences, compared with figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.data.metrics.sequences import label_accuracy, tagged_word_f1, word_f1

B, I, E, S = 0, 1, 2, 3  # noqa: E741 - LAC's names
NONE = -1


def test_word_f1_counts_words_with_both_ends_right() -> None:
    expected = np.array([[B, E, S, NONE], [S, S, S, S]])
    found = np.array([[B, E, S, 0], [B, E, S, S]])[..., None]
    # the second: 3 words found, 4 expected, 2 in common
    np.testing.assert_allclose(word_f1([found], expected), [1.0, 2 * 2 / 7])


def test_word_f1_first_step_begins_a_word_whatever_its_label() -> None:
    np.testing.assert_allclose(word_f1([np.array([[[I], [E]]])], np.array([[B, E]])), [1.0])


def test_tagged_word_f1_wants_the_tag_too() -> None:
    expected = np.array([[0, 1, 4, NONE]])
    assert tagged_word_f1([np.array([[[0], [1], [4], [0]]])], expected).tolist() == [1.0]
    assert tagged_word_f1([np.array([[[0], [1], [6], [0]]])], expected).tolist() == [0.5]


def test_label_accuracy_decides_on_scores_and_passes_over_padding() -> None:
    scores = np.eye(3)[np.array([[0, 1, 2], [2, 2, 0]])]
    assert label_accuracy([scores], np.array([[0, 1, 1], [2, NONE, NONE]])).tolist() == [
        pytest.approx(2 / 3),
        1.0,
    ]


def test_labels_of_the_whole_data_set_may_be_longer_than_the_batch() -> None:
    assert label_accuracy([np.array([[[1], [1]]])], np.array([[1, 1, NONE, NONE]])).tolist() == [1.0]


def test_fewer_steps_than_labels_are_refused() -> None:
    with pytest.raises(MeasurementError, match="labels of more"):
        label_accuracy([np.array([[[1]]])], np.array([[1, 1]]))


def test_one_label_a_sample_is_refused() -> None:
    with pytest.raises(MeasurementError, match="no labels of steps"):
        label_accuracy([np.array([[[1]]])], np.array([1]))
