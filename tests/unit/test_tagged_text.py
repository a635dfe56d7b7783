"""Tagged text becomes ids and labels, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.data.dataset import materialise
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.data.sources import open_source
from paddle_int8.tasks.data.sources.tagged_text import TaggedTextSource, read_tagged_text
from paddle_int8.tasks.data.text_units import cut, read_dictionary

SEGMENTATION = "0\t-B\n1\t-I\n2\t-E\n3\t-S\n"
PARTS = "0\tn-B\n1\tn-I\n2\tO\n"
WORDS = (TensorSpec(name="words", shape=(-1, 1), dtype="int64", sequence=True),)
IDS = Preprocessing(layout="as_is", dtype="int64")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpus.txt").write_text("ab/n  c/v\n\nabc/n  d/n\n", encoding="utf-8")
    (tmp_path / "words.dic").write_text("0\ta\n1\tb\n2\tc\n9\tOOV\nno tab here\n", encoding="utf-8")
    (tmp_path / "tags.dic").write_text(SEGMENTATION, encoding="utf-8")
    (tmp_path / "wide.dic").write_text("d\ta\n", encoding="utf-8")
    return tmp_path


def source(folder: Path, **changes: Any) -> TaggedTextSource:
    files = {"corpus": folder / "corpus.txt", "vocabulary": folder / "words.dic", "tags": folder / "tags.dic"}
    return TaggedTextSource.model_validate({"kind": "tagged_text"} | files | changes)


def test_places_in_words_are_the_labels_of_a_segmentation(folder: Path) -> None:
    sentences = read_tagged_text(source(folder))
    assert [each.line for each in sentences] == [1, 3]
    assert [each.ids.tolist() for each in sentences] == [[0, 1, 2], [0, 1, 2, 9]]
    assert [each.labels.tolist() for each in sentences] == [[0, 2, 3], [0, 1, 2, 3]]


def test_tags_of_words_are_the_labels_otherwise(folder: Path) -> None:
    (folder / "tags.dic").write_text(PARTS, encoding="utf-8")
    assert [each.labels.tolist() for each in read_tagged_text(source(folder))] == [[0, 1, 2], [0, 1, 1, 0]]


def test_replacements_come_before_the_vocabulary(folder: Path) -> None:
    sentences = read_tagged_text(source(folder, replacements=folder / "wide.dic"))
    assert sentences[1].ids.tolist() == [0, 1, 2, 0]


def test_lines_are_counted_from_one_with_the_empty_ones(folder: Path) -> None:
    assert [each.line for each in read_tagged_text(source(folder, first_line=2))] == [3]
    assert [each.line for each in read_tagged_text(source(folder, last_line=2))] == [1]


@pytest.mark.parametrize("item", ["word", "/n", "word/"], ids=["no tag", "no word", "empty tag"])
def test_line_that_does_not_parse_is_named(folder: Path, item: str) -> None:
    (folder / "corpus.txt").write_text(f"a/n\nb/n {item}\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"'{item}' in line 2 of .*corpus.txt"):
        read_tagged_text(source(folder))


def test_unparsable_line_outside_of_the_chosen_ones_does_no_harm(folder: Path) -> None:
    (folder / "corpus.txt").write_text("a/n\nb\n", encoding="utf-8")
    assert len(read_tagged_text(source(folder, last_line=1))) == 1


def test_vocabulary_without_an_unknown_entry_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no 'UNK' in .*words\.dic"):
        read_tagged_text(source(folder, unknown="UNK"))


def test_tag_that_the_list_lacks_is_refused(folder: Path) -> None:
    (folder / "tags.dic").write_text("0\tn-B\n1\tn-I\n", encoding="utf-8")
    with pytest.raises(DataError, match="tag 'v-B'"):
        read_tagged_text(source(folder))


@pytest.mark.parametrize("key", ["corpus", "vocabulary", "tags"])
def test_missing_package_is_named_with_the_command_that_fetches_it(folder: Path, key: str) -> None:
    with pytest.raises(DataError) as caught:
        read_tagged_text(source(folder, **{key: folder / "data" / "lac" / "absent"}))
    assert "python -m paddle_int8.tasks.data.packages lac" in caught.value.remedy


def test_vocabulary_with_a_word_for_an_id_is_refused(folder: Path) -> None:
    (folder / "words.dic").write_text("one\ta\n", encoding="utf-8")
    with pytest.raises(DataError, match="id<TAB>name"):
        read_tagged_text(source(folder))


def test_drawn_sentences_come_back_padded_with_their_lengths(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "drawn"
    target.mkdir()
    samples = open_source(source(folder), IDS)
    drawn = materialise(samples, np.arange(samples.count), IDS, WORDS, target, step="data")
    dataset = DatasetArtifact(
        folder=StoredPath(target),
        digest=drawn.digest,
        source="text",
        samples=drawn.samples,
        classes=drawn.classes,
        seed=0,
        labelled=drawn.labelled,
    )
    reader = BatchReader(dataset, WORDS)
    (batch,) = reader.batches(8)
    assert batch["words"].squeeze(2).tolist() == [[0, 1, 2, 0], [0, 1, 2, 9]]
    assert batch["words.lengths"].tolist() == [3, 4]
    assert [len(each["words"][0]) for each in reader.batches(1)] == [3, 4]
    assert reader.labels is not None
    assert reader.labels.tolist() == [[0, 2, 3, -1], [0, 1, 2, 3]]


def test_empty_sequence_of_a_callable_is_refused(tmp_path: Path) -> None:
    from tests.unit import sequence_source as given

    samples = open_source(given.CONFIG, IDS)
    with pytest.raises(DataError, match=r"sentences\[1\] is an empty sequence"):
        materialise(samples, np.arange(samples.count), IDS, WORDS, tmp_path, step="data")


def test_text_is_cut_into_words_that_the_vocabulary_has(folder: Path) -> None:
    """`abc` is the one word that both have, `d` alone is none; labels are those of first characters."""
    (folder / "words.dic").write_text("0\ta\n1\tb\n2\tc\n3\tabc\n9\tOOV\n", encoding="utf-8")
    (folder / "dictionary.dic").write_text("abc 5\nab 1\nno count here\n", encoding="utf-8")
    sentences = read_tagged_text(source(folder, words=folder / "dictionary.dic"))
    assert [each.ids.tolist() for each in sentences] == [[3], [3, 9]]
    assert [each.labels.tolist() for each in sentences] == [[0], [0, 3]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("abcd", ["ab", "cd"]),
        ("abce", ["abc", "e"]),
        ("xaby", ["x", "ab", "y"]),
        ("a12cb3", ["a12cb3"]),
        ("1。23", ["1", "。", "23"]),
        ("1ab2", ["1", "ab", "2"]),
        ("", []),
    ],
    ids=[
        "even words",
        "fewest words",
        "unknown characters",
        "letters",
        "letters apart",
        "word between",
        "nothing",
    ],
)
def test_cut_takes_the_fewest_words_and_joins_letters(text: str, words: list[str]) -> None:
    dictionary = read_dictionary(["ab 1", "abc 1", "cd 1", "bcd 1"], Path("words.dic"))
    assert cut(text, dictionary) == words


def test_cut_of_equal_scores_begins_with_the_longer_word() -> None:
    assert cut("abc", read_dictionary(["ab 9", "bc 1"], Path("words.dic"))) == ["ab", "c"]


@pytest.mark.parametrize(
    ("lines", "found"), [(["ab many"], "'many'"), (["ab"], "no words"), (["ab 0"], "no words")]
)
def test_dictionary_without_counted_words_is_refused(lines: list[str], found: str) -> None:
    with pytest.raises(DataError, match=found):
        read_dictionary(lines, Path("words.dic"))
