"""Lists of pictures from other tools are read correctly, or refused by line with how they were understood."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.pictures.image_files import ImageFiles
from paddle_int8.tasks.data.sources.image_folder import ImageFolderSource, image_files

PICTURES = ("img/a.jpg", "img/b.jpg", "img/c.jpg", "img/d.jpg")
MASKS = ("mask/a.png", "mask/b.png", "mask/c.png", "mask/d.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in PICTURES + MASKS:
        picture(tmp_path / "data" / name)
    return tmp_path / "data"


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)


def read(root: Path, lines: str | bytes) -> ImageFiles:
    list_file = root.parent / "list.txt"
    list_file.write_bytes(lines if isinstance(lines, bytes) else lines.encode())
    return image_files(ImageFolderSource(kind="image_folder", root=root, list_file=list_file))


def refusal(root: Path, lines: str | bytes) -> DataError:
    with pytest.raises(DataError) as caught:
        read(root, lines)
    return caught.value


def names(found: ImageFiles, root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in found.files]


def lines_of(labels: tuple[str, ...], gap: str = " ") -> str:
    return "".join(f"{name}{gap}{label}\n" for name, label in zip(PICTURES, labels, strict=True))


def test_list_of_two_files_is_refused_by_line_with_what_was_understood(root: Path) -> None:
    said = refusal(root, lines_of(MASKS))
    assert "line 1 of" in said.found
    assert "understood as file img/a.jpg and label 'mask/a.png', which is a second file" in said.found
    assert "4 of 4 lines" in said.found
    assert "agreement" in said.remedy


def test_list_of_two_files_that_are_not_there_is_told_the_same(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    said = refusal(tmp_path / "data", lines_of(MASKS))
    assert "file img/a.jpg, which is not there, and label 'mask/a.png', which is a second file" in said.found


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param("img\\a.jpg 1\nimg\\b.jpg 1\nimg\\c.jpg 0\nimg\\d.jpg 0\n", id="backslashes"),
        pytest.param("1 img/a.jpg\n1 img/b.jpg\n0 img/c.jpg\n0 img/d.jpg\n", id="label first"),
        pytest.param("1\timg\\a.jpg\n1\timg\\b.jpg\n0\timg\\c.jpg\n0\timg\\d.jpg\n", id="both"),
        pytest.param(lines_of(("1", "1", "0", "0"), ","), id="commas"),
        pytest.param(lines_of(("1", "1", "0", "0"), ", "), id="commas and blanks"),
        pytest.param(lines_of(("1,", "1,", "0,", "0,,"), ","), id="empty columns"),
        pytest.param(lines_of(("1", "1", "0", "0"), "\u3000"), id="wide blanks"),
        pytest.param("label,path\n1,img/a.jpg\n1,img/b.jpg\n0,img/c.jpg\n0,img/d.jpg\n", id="columns"),
        pytest.param(lines_of(("1", "1", "0", "0"), "\t"), id="tabs"),
        pytest.param(lines_of(("1", "1", "0", "0"), "  \t "), id="tabs and blanks"),
        pytest.param(lines_of(("1", "1", "0", "0")).replace("\n", "\r\n"), id="lines of Windows"),
        pytest.param(lines_of(("1", "1", "0", "0")).replace("\n", "\r"), id="lines of an old Mac"),
        pytest.param("\ufeff" + lines_of(("1", "1", "0", "0")), id="byte order mark"),
        pytest.param(lines_of(("1", "1", "0", "0")).replace("img/", "./img/"), id="dot"),
        pytest.param(lines_of(("1", "1", "0", "0")).replace("img/", "img/../img//"), id="dots"),
        pytest.param('"img/a.jpg","1"\n"img/b.jpg","1"\n\'img/c.jpg\',\'0\'\n"img/d.jpg",0\n', id="quotes"),
        pytest.param("path,label\n" + lines_of(("1", "1", "0", "0"), ","), id="header"),
        pytest.param("# pictures\n\n" + lines_of(("1", "1", "0", "0")) + "\n  \n", id="comment"),
    ],
)
def test_list_of_another_tool_is_read_right(root: Path, lines: str) -> None:
    found = read(root, lines)
    assert names(found, root) == list(PICTURES)
    assert found.labels == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param("img\\a.jpg 1\n", "1 paths are written with `\\`", id="backslashes"),
        pytest.param("1 img/a.jpg\n", "the label stands first, as in line 1", id="label first"),
        pytest.param("path label\nimg/a.jpg 1\n", "left out: header lines (1): line 1", id="header"),
        pytest.param("img/a.jpg 1\n#img/b.jpg 1\n", "left out: comment lines (1): line 2", id="comment"),
        pytest.param(
            "img/a.jpg 1\n# img/b.jpg 1\n", "left out: comment lines (1): line 2", id="line put aside"
        ),
        pytest.param("img/a.jpg 1\n./img/a.jpg 1\n", "lines that repeat a file (1): line 2", id="repeated"),
    ],
)
def test_list_what_is_not_obvious_is_said(root: Path, lines: str, said: str) -> None:
    found = read(root, lines)
    assert said in " ".join(found.said())
    assert names(found, root) == ["img/a.jpg"]


@pytest.mark.parametrize(
    ("labels", "line", "what"),
    [
        pytest.param(("0,1,1,0", "1,1,0,0", "0,0,0,1", "0,1,0,1"), 1, "several labels", id="commas"),
        pytest.param(("0 1 1 0", "1 1 0 0", "0 0 0 1", "0 1 0 1"), 1, "several labels", id="blanks"),
        pytest.param(("[0, 1]", "[1]", "[0]", "[2]"), 1, "several labels", id="brackets"),
        pytest.param(("20231105", "007", "12", "0012"), 1, "a text of digits", id="dates"),
        pytest.param(("7", "007", "12", "0012"), 2, "a text of digits", id="leading zeros"),
        pytest.param(("Room 12", "Room 13", "x 1", "y 2"), 1, "a text", id="texts with numbers"),
        pytest.param(("cat", "dog", "cat", "dog"), 1, "a text", id="texts"),
        pytest.param(("0", "1", "-1", "2"), 3, "below 0", id="negative"),
        pytest.param(("0", "1.0", "2.0", "1.5"), 2, "no whole number", id="with a point"),
        pytest.param(("0", "²", "2", "1"), 2, "a text", id="superscript"),
    ],
)
@pytest.mark.parametrize("gap", [" ", "\t"], ids=["blank", "tab"])
def test_list_of_labels_that_are_no_class_numbers_is_refused_by_line(
    root: Path, labels: tuple[str, ...], line: int, what: str, gap: str
) -> None:
    said = refusal(root, lines_of(labels, gap))
    assert f"line {line} of" in said.found
    assert (
        f"understood as file {PICTURES[line - 1]} and label {labels[line - 1]!r}, which is {what}"
        in said.found
    )


def test_list_of_a_file_between_other_columns_is_refused_by_line(root: Path) -> None:
    said = refusal(root, "0,img/a.jpg,1\n1,img/b.jpg,0\n")
    assert "line 1 of" in said.found
    assert "understood as file img/a.jpg and label '0 1', which is several labels" in said.found


def test_list_class_numbers_of_few_samples_may_be_high(root: Path) -> None:
    assert read(root, lines_of(("999", "0", "359999", "10"))).labels == [999, 0, 359999, 10]


def test_list_missing_files_are_counted_and_named_before_any_is_read(root: Path) -> None:
    said = refusal(root, "img/a.jpg 0\nimg/x.jpg 1\nimg/b.jpg 0\nimg/y z.jpg 1\n")
    assert "2 of 4 files of" in said.found
    assert f"are not there: {root / 'img/x.jpg'} (line 2), {root / 'img/y z.jpg'} (line 4)" in said.found


def test_list_of_many_missing_files_names_the_first_few(root: Path) -> None:
    said = refusal(root, "".join(f"img/{number}.jpg {number}\n" for number in range(100)))
    assert "100 of 100" in said.found
    assert "and 95 more" in said.found
    assert "img/99.jpg" not in said.found


def test_list_relative_to_another_folder_is_told_which(root: Path) -> None:
    said = refusal(root / "img", lines_of(("0", "1", "0", "1")))
    assert said.remedy == f"set `root` to {root}, below which img/a.jpg is there"
    assert read(root, lines_of(("0", "1", "0", "1"))).labels == [0, 1, 0, 1]


def test_list_of_absolute_paths_below_the_root_is_read(root: Path) -> None:
    found = read(root, "".join(f"{root / name} 1\n" for name in PICTURES))
    assert names(found, root) == list(PICTURES)


def test_list_of_files_outside_the_root_is_refused_and_the_remedy_works(root: Path) -> None:
    lines = "".join(f"{root / name} 1\n" for name in PICTURES + MASKS)
    said = refusal(root / "img", lines)
    assert "line 5 of" in said.found
    assert f"set `root` to a folder above them all, such as {root}," in said.remedy
    assert len(read(root, lines).files) == 8


def test_list_file_with_two_labels_is_refused_by_both_lines(root: Path) -> None:
    said = refusal(root, "img/a.jpg 0\nimg/b.jpg 1\n./img/a.jpg 2\n")
    assert "img/a.jpg in line 1 with label 0 and in line 3 with label 2" in said.found


def test_list_label_on_some_lines_only_is_refused_by_line(root: Path) -> None:
    said = refusal(root, "img/a.jpg 0\nimg/b.jpg\nimg/c.jpg 0\n")
    assert "1 of 3 lines" in said.found
    assert "line 2: 'img/b.jpg'" in said.found


def test_list_of_both_orders_is_refused_by_line(root: Path) -> None:
    said = refusal(root, "img/a.jpg 0\n1 img/b.jpg\n")
    assert "line 2" in said.found
    assert "the label stands first, in line 1 last" in said.found


def test_list_line_of_two_meanings_is_refused_and_the_remedy_works(root: Path) -> None:
    Image.new("RGB", (4, 4)).save(root / "a", "PNG")
    Image.new("RGB", (4, 4)).save(root / "a 1", "PNG")
    said = refusal(root, "a 1\n")
    assert "file a 1, label none or file a, label 1" in said.found
    assert "tab" in said.remedy
    assert names(read(root, "a\t1\n"), root) == ["a"]


def test_list_name_with_blanks_commas_and_numbers_is_found_on_the_disk(root: Path) -> None:
    odd = ("my cat, 3.jpg", "1 2 3.jpg", "# of 2.jpg", "猫 1.jpg", "no suffix")
    for name in odd:
        Image.new("RGB", (4, 4)).save(root / name, "JPEG")
    found = read(root, "".join(f"{name} {label}\n" for label, name in enumerate(odd)))
    assert names(found, root) == list(odd)
    assert found.labels == [0, 1, 2, 3, 4]
    assert read(root, "".join(f"{name}\n" for name in odd)).labels is None


@pytest.mark.parametrize(
    ("content", "named", "remedy"),
    [
        pytest.param("img/a.jpg 0\n".encode("utf-16"), "UTF-16", "iconv -f UTF-16", id="UTF-16"),
        pytest.param("img/a.jpg 0\n".encode("utf-16-le"), "UTF-16", "iconv -f UTF-16", id="without mark"),
        pytest.param(
            "img/a.jpg 0\n训练图片.jpg 1\n".encode("gbk"), "from line 2 on", "iconv -f GBK", id="GBK"
        ),
        pytest.param(b"img/a.jpg 0\nimg/b\0.jpg 1\n", "line 2 holds a NUL", "text file", id="binary"),
    ],
)
def test_list_in_another_encoding_is_called_by_its_name(
    root: Path, content: bytes, named: str, remedy: str
) -> None:
    said = refusal(root, content)
    assert named in said.found
    assert remedy in said.remedy


def test_list_that_is_missing_is_named(root: Path) -> None:
    source = ImageFolderSource(kind="image_folder", root=root, list_file=root / "absent.txt")
    with pytest.raises(DataError, match=r"absent\.txt: No such file"):
        image_files(source)


def test_list_of_a_folder_and_a_pipe_finds_no_file(root: Path) -> None:
    os.mkfifo(root / "img/pipe.jpg")
    assert "2 of 2 files" in refusal(root, "img\nimg/pipe.jpg\n").found


PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
"""Its section on lists shows lines that are read, and lines that are refused."""


def test_documented_lines_are_all_read_as_the_same(root: Path) -> None:
    picture(root / "birds/owl 7.jpg")
    shown = PAGE[PAGE.index("all of these lines are read") :].split("```\n")[1].splitlines()
    assert len(shown) == 5
    for line in shown:
        found = read(root, f"{line}\n")
        assert (names(found, root), found.labels) == (["birds/owl 7.jpg"], [3])


@pytest.mark.parametrize(
    "line", ["img/a.jpg mask/a.png", "img/a.jpg 0,1,1,0", "img/a.jpg 007", "img/a.jpg 20231105", "../a.jpg 1"]
)
def test_documented_refusals_are_refused_by_line(root: Path, line: str) -> None:
    assert f"`{line}`" in PAGE
    assert "line 2 of" in refusal(root, f"img/b.jpg 1\n{line}\n").found
