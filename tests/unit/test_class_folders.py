"""Class folders as people have them are numbered as in training, and nothing is left out silently."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.pictures.image_files import ImageFiles
from paddle_int8.tasks.data.sources.image_folder import ImageFolderSource, image_files


def read(root: Path) -> ImageFiles:
    return image_files(ImageFolderSource(kind="image_folder", root=root))


def refusal(root: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        read(root)
    return caught.value


def save(path: Path, kind: str = "JPEG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path, kind)


def write(path: Path, content: bytes = b"no picture") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """What people collect from phones, the web and archives: 8 pictures in 5 classes."""
    for name in ("cat a/1.jpg", "cat a/2.jfif", "cat a/3.jif"):
        save(tmp_path / name)
    for name in ("dog#1/1.jpg", "dog#1/2.JPG", "dog#1/3.jpe", "dog#1/noname"):
        save(tmp_path / name)
    save(tmp_path / "猫/1.png", "PNG")
    write(tmp_path / "only_heic/1.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    write(tmp_path / "猫/notes.txt")
    write(tmp_path / "猫/Thumbs.db")
    write(tmp_path / "__MACOSX/cat a/._1.jpg")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_folders_every_readable_picture_is_taken_whatever_its_suffix(mixed: Path) -> None:
    found = read(mixed)
    assert [str(path.relative_to(mixed)) for path in found.files] == [
        *("cat a/1.jpg", "cat a/2.jfif", "cat a/3.jif"),
        *("dog#1/1.jpg", "dog#1/2.JPG", "dog#1/3.jpe", "dog#1/noname"),
        "猫/1.png",
    ]


def test_folders_without_pictures_keep_their_class_number_and_are_named(mixed: Path) -> None:
    found = read(mixed)
    assert found.class_names == ("cat a", "dog#1", "empty", "only_heic", "猫")
    assert found.labels == [0, 0, 0, 1, 1, 1, 1, 4]
    assert "class folders without a picture, which keep their number: 2 empty, 3 only_heic" in found.notes
    assert found.notes[0].endswith("names: 0 cat a, 1 dog#1, 2 empty, 3 only_heic, 4 猫")


def test_folders_what_is_left_out_is_counted_by_reason_and_named(mixed: Path) -> None:
    found = read(mixed)
    assert found.counts() == {
        "hidden files and folders, and those of operating systems": 2,
        ".heic files without a readable picture": 1,
        ".txt files without a readable picture": 1,
    }
    said = " ".join(found.said())
    for name in ("__MACOSX", "猫/Thumbs.db", "only_heic/1.heic", "猫/notes.txt"):
        assert name in said


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".bmp", "BMP"),
        (".gif", "GIF"),
        (".jp2", "JPEG2000"),
        (".pgm", "PPM"),
        (".tga", "TGA"),
        (".tif", "TIFF"),
        (".webp", "WEBP"),
    ],
)
def test_folders_picture_of_each_format_is_taken(tmp_path: Path, suffix: str, kind: str) -> None:
    save(tmp_path / f"a/1{suffix}", kind)
    save(tmp_path / f"b/1{suffix.upper()}", kind)
    assert len(read(tmp_path).files) == 2


@pytest.mark.parametrize(
    "folders",
    [
        ("train/cat", "train/dog", "val/cat", "val/dog"),
        ("Training/cat", "Validation/cat", "annotations/a"),
        ("train/cat", "test/cat"),
        ("test/cat",),
    ],
    ids=" ".join,
)
def test_folders_that_are_splits_are_refused_and_the_remedy_works(
    tmp_path: Path, folders: tuple[str, ...]
) -> None:
    for folder in folders:
        save(tmp_path / folder / "1.jpg")
    said = refusal(tmp_path)
    assert "holds the splits" in said.found
    assert said.remedy.startswith("set `root` to")
    assert read(Path(said.remedy.split()[-1])).class_names[0] == "cat"


def test_folders_a_class_called_train_among_others_is_a_class(tmp_path: Path) -> None:
    for name in ("bus", "car", "train"):
        save(tmp_path / name / "1.jpg")
    assert read(tmp_path).class_names == ("bus", "car", "train")


def test_folders_one_level_too_high_is_refused(tmp_path: Path) -> None:
    for name in ("flowers/rose/1.jpg", "flowers/tulip/1.jpg"):
        save(tmp_path / name)
    assert str(tmp_path / "flowers") in refusal(tmp_path).remedy


def test_folders_below_a_class_count_for_it_and_are_told(tmp_path: Path) -> None:
    for name in ("cat/1.jpg", "cat/b/2.jpg", "cat/a/3.jpg", "dog/1.jpg"):
        save(tmp_path / name)
    found = read(tmp_path)
    assert found.labels == [0, 0, 0, 1]
    assert "2 pictures lie deeper than their class folder, and count for it" in found.notes


def test_folders_called_by_numbers_are_sorted_as_text_as_training_does_and_told(tmp_path: Path) -> None:
    for number in range(11):
        save(tmp_path / str(number) / "1.jpg")
    found = read(tmp_path)
    assert found.class_names == ("0", "1", "10", "2", "3", "4", "5", "6", "7", "8", "9")
    assert "sorted as text, not as numbers: folder 10 is class 2" in " ".join(found.notes)


def test_folders_of_ten_numbers_need_no_word_about_their_order(tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / str(number) / "1.jpg")
    assert "as text" not in " ".join(read(tmp_path).notes)


def test_folders_links_are_followed_once(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere/1.jpg")
    root = tmp_path / "root"
    save(root / "cat/1.jpg")
    (root / "dog").symlink_to(tmp_path / "elsewhere")
    (root / "cat/2.jpg").symlink_to(tmp_path / "elsewhere/1.jpg")
    (root / "cat/again").symlink_to(root / "cat")
    found = read(root)
    assert found.labels == [0, 0, 1]
    assert found.counts() == {"folders that a link leads to again": 1}


def test_folders_link_to_a_file_that_is_gone_is_a_missing_file(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        save(tmp_path / name / "1.jpg")
    (tmp_path / "cat/2.jpg").symlink_to(tmp_path / "gone.jpg")
    assert "1 of 3 files" in refusal(tmp_path).found
    assert "cat/2.jpg" in refusal(tmp_path).found


def test_folders_pipe_called_as_a_picture_is_left_out(tmp_path: Path) -> None:
    save(tmp_path / "cat/1.jpg")
    os.mkfifo(tmp_path / "cat/2.jpg")
    assert read(tmp_path).counts() == {"pipes and other special files": 1}


def test_folders_root_of_pictures_alone_has_no_labels(tmp_path: Path) -> None:
    save(tmp_path / "b.jpg")
    save(tmp_path / "a")
    write(tmp_path / "list.txt")
    found = read(tmp_path)
    assert [path.name for path in found.files] == ["a", "b.jpg"]
    assert found.labels is None
    assert found.counts() == {".txt files without a readable picture": 1}


def test_folders_without_any_picture_say_what_is_there_instead(tmp_path: Path) -> None:
    write(tmp_path / "cat/1.heic")
    assert "left out: .heic files without a readable picture (1): cat/1.heic" in refusal(tmp_path).found
