"""What `init` takes data for."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.drafting.recognition import is_archive, recognised


def picture(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (value, 0, 0)).save(path)
    return path


def idx(path: Path, array: np.ndarray) -> Path:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))
    return path


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    for name in ("a cat", "dog"):
        for number in range(3):
            picture(tmp_path / "images" / name / f"{number}.png", number)
    return tmp_path / "images"


def test_class_folders_are_one_whole_with_labels(classes: Path) -> None:
    data = recognised(classes)
    assert data.whole
    assert data.validation.class_names == ("a cat", "dog")
    assert (data.validation.samples, data.validation.labelled) == (6, True)


def test_folder_that_holds_the_class_folders_one_level_deeper_is_entered(classes: Path) -> None:
    assert recognised(classes.parent).validation.source["root"] == classes


def test_splits_are_two_parts(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for name in ("a", "b"):
            picture(tmp_path / split / name / "1.png")
    data = recognised(tmp_path)
    assert data.calibration
    assert data.calibration.source["root"].name == "train"
    assert data.validation.source["root"].name == "val"


def test_pictures_alone_have_no_labels(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    assert not recognised(tmp_path).validation.labelled


def test_lists_beside_the_pictures_are_the_parts_that_their_names_say(classes: Path) -> None:
    (classes / "train_list.txt").write_text("a cat/0.png\t0\ndog/0.png\t1\n", encoding="utf-8")
    (classes / "val_list.txt").write_text("a cat/1.png\t0\n", encoding="utf-8")
    (classes / "labels.txt").write_text("a cat\ndog\n", encoding="utf-8")
    data = recognised(classes)
    assert data.calibration
    assert (data.calibration.samples, data.validation.samples) == (2, 1)


def test_list_alone_is_looked_up_in_its_own_folder(classes: Path) -> None:
    listed = classes / "all.txt"
    listed.write_text("a cat/0.png\t0\ndog/0.png\t1\n", encoding="utf-8")
    assert recognised(listed).validation.source == {
        "kind": "image_folder",
        "root": classes,
        "list_file": listed,
    }


def test_archive_of_arrays_finds_its_labels_by_type_and_length(tmp_path: Path) -> None:
    path = tmp_path / "digits.npz"
    np.savez(path, x=np.zeros((7, 4, 4), np.uint8), y=np.arange(7))
    found = recognised(path).validation
    assert (found.source["labels"], found.samples, found.labelled) == ("y", 7, True)


def test_idx_files_of_mnist_are_two_parts_with_their_labels(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("t10k", 3)):
        idx(tmp_path / f"{part}-images-idx3-ubyte.gz", np.zeros((count, 2, 2)))
        idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.zeros(count))
    data = recognised(tmp_path)
    assert data.calibration
    assert data.calibration.source["images"].name.startswith("train")
    assert data.validation.source["labels"].name == "t10k-labels-idx1-ubyte.gz"


def test_tagged_text_is_found_with_its_dictionaries(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("ab/n c/v\nd/n\n", encoding="utf-8")
    (tmp_path / "word.dic").write_text("0\ta\n", encoding="utf-8")
    (tmp_path / "tag.dic").write_text("0\tn-B\n", encoding="utf-8")
    found = recognised(tmp_path).validation
    assert (found.kind, found.samples) == ("tagged_text", 2)
    assert found.source["vocabulary"].name == "word.dic"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "nothing at"),
        ("empty", "an empty folder"),
        ("model", "no picture"),
        ("one.png", "a single picture"),
        ("array.npy", "one array without names"),
        ("notes", "without a readable picture"),
    ],
)
def test_what_is_no_data_is_said_with_what_would_be(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "model").mkdir()
    picture(tmp_path / "one.png")
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.md").write_text("hello", encoding="utf-8")
    with pytest.raises(DataError) as raised:
        recognised(tmp_path / name)
    assert said in raised.value.found or name == "model"
    assert raised.value.remedy


def test_archives_are_told_by_their_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").touch()
    assert is_archive(tmp_path / "a.tar.gz")
    assert not is_archive(tmp_path)
