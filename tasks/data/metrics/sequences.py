"""Metrics for labelled sequences. Time steps with the label `NO_LABEL` are padding and do not count.

Name them in `validation.metrics`, for example as `paddle_int8.tasks.data.metrics.sequences:word_f1`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.data.dataset import NO_LABEL

Begins = Callable[[Array], Array]
BEGIN, SINGLE = 0, 3
"""Labels with which a word begins in LAC's segmentation: B (begin) and S (single character)."""


def label_accuracy(outputs: Sequence[Array], labels: Array | None) -> Array:
    """The share of time steps in each sequence that have the right label: [N]."""
    found, expected = _decided(outputs, labels)
    there = expected != NO_LABEL
    right: Array = ((found == expected) & there).sum(axis=1) / there.sum(axis=1)
    return right


def word_f1(outputs: Sequence[Array], labels: Array | None) -> Array:
    """F1 of the words in each sentence: [N]. The labels are B = 0, I = 1, E = 2, S = 3."""
    return _span_f1(*_decided(outputs, labels), lambda row: (row == BEGIN) | (row == SINGLE))


def tagged_word_f1(outputs: Sequence[Array], labels: Array | None) -> Array:
    """F1 of the words in each sentence with their tags: [N]. Even labels are B, odd ones are I."""
    return _span_f1(*_decided(outputs, labels), lambda row: row % 2 == 0, tagged=True)


def ctc_line_accuracy(outputs: Sequence[Array], labels: Array | None) -> Array:
    """1.0 where the line is read without a mistake, else 0.0: [N].

    outputs[0]: CTC scores [N, steps, classes], read greedily; class 0 is the blank.
    labels: classes counted from 0 without the blank, padded with `NO_LABEL`.
    """
    read, expected = _read_lines(outputs, labels)
    return np.array([float(found == right) for found, right in zip(read, expected, strict=True)])


def ctc_character_accuracy(outputs: Sequence[Array], labels: Array | None) -> Array:
    """1 - edit distance / number of characters for each line, but at least 0: [N]."""
    read, expected = _read_lines(outputs, labels)
    return np.array(
        [
            max(0.0, 1 - edit_distance(found, right) / len(right))
            for found, right in zip(read, expected, strict=True)
        ]
    )


def edit_distance(one: Sequence[int], other: Sequence[int]) -> int:
    """The fewest insertions, deletions and substitutions from `one` to `other` (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for position, symbol in enumerate(one, start=1):
        before, row[0] = row[0], position
        for column, wanted in enumerate(other, start=1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (symbol != wanted)),
            )
    return row[-1]


def _span_f1(found: Array, expected: Array, begins: Begins, *, tagged: bool = False) -> Array:
    scores = []
    for found_row, expected_row in zip(found, expected, strict=True):
        there = expected_row != NO_LABEL
        ours = _spans(found_row[there], begins, tagged)
        theirs = _spans(expected_row[there], begins, tagged)
        scores.append(2 * len(ours & theirs) / (len(ours) + len(theirs)))
    return np.array(scores)


def _spans(row: Array, begins: Begins, tagged: bool) -> set[tuple[int, int, int]]:
    """Every word as (first step, step after the last, label of the first step).

    The label is 0 when words have no tags. The first step of a row always begins a word.
    """
    starts = np.flatnonzero(begins(row) | (np.arange(len(row)) == 0))
    ends = [*starts[1:].tolist(), len(row)]
    firsts = row[starts].tolist() if tagged else [0] * len(starts)
    return set(zip(starts.tolist(), ends, firsts, strict=True))


def _decided(outputs: Sequence[Array], labels: Array | None) -> tuple[Array, Array]:
    """The labels that the model gives and the right ones, [N, steps] each.

    When the model returns scores, the class with the highest one is its label.
    """
    if labels is None or labels.ndim != 2:
        raise MeasurementError(
            found="no labels of steps",
            required="a label for each step of each sequence",
            remedy="give a data source with them, such as `tagged_text`",
        )
    given = outputs[0]
    decided = (
        given.argmax(axis=2) if given.ndim == 3 and given.shape[2] > 1 else given.reshape(len(given), -1)
    )
    expected = labels[:, : decided.shape[1]]
    if (labels[:, decided.shape[1] :] != NO_LABEL).any():
        raise MeasurementError(
            found=f"outputs of {decided.shape[1]} steps and labels of more",
            required="a step of output for each label",
            remedy="for another kind of model, name another callable in `validation.metrics`",
        )
    return np.where(expected == NO_LABEL, NO_LABEL, decided[:, : expected.shape[1]]), expected


def _read_lines(outputs: Sequence[Array], labels: Array | None) -> tuple[list[list[int]], list[list[int]]]:
    if labels is None or labels.ndim != 2 or outputs[0].ndim != 3:
        raise MeasurementError(
            found=f"scores of shape {list(outputs[0].shape)}, and labels of shape "
            f"{'none' if labels is None else list(labels.shape)}",
            required="scores [samples, steps, classes] and the characters of each line",
            remedy="for another kind of model, name another callable in `validation.metrics`",
        )
    best = outputs[0].argmax(axis=2)
    changed = np.diff(best, prepend=-1, axis=1) != 0
    read = [(row[new & (row > 0)] - 1).tolist() for row, new in zip(best, changed, strict=True)]
    return read, [row[row != NO_LABEL].tolist() for row in labels]
