"""The split, the text and the questions of a drafted configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.contracts.errors import ConfigError, DataError
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.drafting.classes import order_of_names
from paddle_int8.tasks.drafting.draft import quantization
from paddle_int8.tasks.drafting.fitting import arithmetic, pictures_of, placed
from paddle_int8.tasks.drafting.questions import Interview, Question
from paddle_int8.tasks.drafting.recognition import recognised
from paddle_int8.tasks.drafting.sources import calibration_samples
from paddle_int8.tasks.drafting.split import images_of, parted
from paddle_int8.tasks.drafting.writing import said

MARGIN = Question(option="margin", text="How much?", default="1", choices={"1": "one", "2": "two"})


def never(question: Question) -> str:
    raise AssertionError(f"{question.option} was asked")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for place, name in enumerate(("ä b", "c#d", "e")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(10):
            picture = Image.new("RGB", (2, 2), (place, number, 0))
            picture.save(tmp_path / "images" / name / f"{number} (1).png")
    return tmp_path / "images"


def test_split_calibrates_on_a_fifth_of_each_class_and_validates_on_the_rest(
    images: Path, tmp_path: Path
) -> None:
    parts = parted(recognised(images), tmp_path / "mine")
    assert parts.calibration
    seen, decides = images_of(parts.calibration), images_of(parts.validation)
    assert seen.labels
    assert decides.labels
    assert sorted(seen.labels) == [0, 0, 1, 1, 2, 2]
    assert len(decides.files) == 24
    assert not set(seen.files) & set(decides.files)


def test_split_writes_the_labels_in_another_order(images: Path, tmp_path: Path) -> None:
    names = tmp_path / "classes.txt"
    names.write_text("e\nc#d\nä b\n", encoding="utf-8")
    data = recognised(images)
    parts = parted(data, tmp_path / "mine", order_of_names(names, data))
    for file, label in zip(
        images_of(parts.validation).files, images_of(parts.validation).labels or (), strict=True
    ):
        assert ["e", "c#d", "ä b"][label] == file.parent.name


def test_class_folder_that_the_names_lack_is_told(images: Path, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("e\nc#d\n", encoding="utf-8")
    with pytest.raises(DataError, match="class folder ä b, which"):
        order_of_names(tmp_path / "classes.txt", recognised(images))


def test_split_arrays_keep_each_sample_once(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", x=np.arange(20)[:, None], y=np.arange(20) % 2)
    parts = parted(recognised(tmp_path / "all.npz"), tmp_path / "mine")
    assert parts.calibration
    with np.load(parts.calibration.source["path"]) as one, np.load(parts.validation.source["path"]) as other:
        assert sorted([*one["x"][:, 0], *other["x"][:, 0]]) == list(range(20))
        assert (one["x"][:, 0] % 2 == one["y"]).all()


def test_split_text_calibrates_on_its_first_lines(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("a/n\n\n" * 10, encoding="utf-8")
    (tmp_path / "word.dic").write_text("0\ta\n", encoding="utf-8")
    (tmp_path / "tag.dic").write_text("0\tn-B\n", encoding="utf-8")
    parts = parted(recognised(tmp_path), tmp_path / "mine")
    assert parts.calibration
    assert (parts.calibration.source["last_line"], parts.validation.source["first_line"]) == (3, 4)
    assert (parts.calibration.samples, parts.validation.samples) == (2, 8)


@pytest.mark.parametrize(("total", "calibrate"), [(2, 1), (30, 6), (300, 60), (320, 64), (10_000, 64)])
def test_a_fifth_calibrates_up_to_sixty_four(total: int, calibrate: int) -> None:
    assert calibration_samples(total) == calibrate


@pytest.mark.parametrize(
    "name",
    ["plain", "with blank", "c#d", "a: b", "'quoted'", '"', "yes", "2024", "ä", "~home", "$X", "[a]", "a\\b"],
)
def test_written_path_is_read_back_as_it_was(tmp_path: Path, name: str) -> None:
    read = yaml.safe_load(f"root: {said({'root': tmp_path / name}, tmp_path)}")["root"]["root"]
    assert isinstance(read, str)
    assert tmp_path / Path(read) == tmp_path / name
    assert not read.startswith(("~", "$"))


def test_written_values_are_read_back_as_they_were(tmp_path: Path) -> None:
    values = {
        "scale": 0.00392157,
        "mean": (0.5,),
        "resize": (48, 48),
        "labels": "on",
        "flag": True,
        "one": 1.0,
    }
    read = yaml.safe_load(said(values, tmp_path))
    assert read == values | {"mean": [0.5], "resize": [48, 48]}


def test_interview_takes_the_option_before_it_asks() -> None:
    interview = Interview(given={"margin": "2"}, prompt=never, yes=True)
    assert interview.ask(MARGIN) == "2"
    assert interview.assumed == []


def test_interview_notes_what_it_assumed() -> None:
    interview = Interview(given={}, prompt=never, yes=True)
    assert interview.ask(MARGIN) == "1"
    assert interview.assumed == ["margin"]


@pytest.mark.parametrize(("terminal", "yes"), [(True, False), (False, True)])
def test_interview_begins_where_every_question_will_have_an_answer(terminal: bool, yes: bool) -> None:
    Interview(given={}, prompt=never, yes=yes).require_answers(terminal=terminal)


def test_interview_without_a_terminal_is_refused_before_it_begins() -> None:
    with pytest.raises(ConfigError, match="no terminal") as raised:
        Interview(given={"margin": "1"}, prompt=never, yes=False).require_answers(terminal=False)
    assert "--yes" in raised.value.remedy


def test_interview_refuses_an_answer_that_is_none_of_the_choices() -> None:
    with pytest.raises(ConfigError, match="one of 1, 2"):
        Interview(given={"margin": "3"}, prompt=never, yes=False).ask(MARGIN)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((-1, 3, 224, 224), (3, 224, 224, "NCHW")),
        ((-1, 1, 28, 28), (1, 28, 28, "NCHW")),
        ((-1, 32, 48, 3), (3, 32, 48, "NHWC")),
        ((-1, 3, -1, -1), (3, -1, -1, "NCHW")),
        ((-1, -1, -1, -1), (3, -1, -1, "NCHW")),
        ((-1, 128), None),
    ],
)
def test_picture_input_is_told_by_its_shape(
    shape: tuple[int, ...], expected: tuple[object, ...] | None
) -> None:
    found = pictures_of((TensorSpec(name="x", shape=shape, dtype="float32"),))
    assert (found and (found.channels, found.height, found.width, found.layout)) == expected


def test_input_of_bytes_gets_no_arithmetic() -> None:
    bytes_in = pictures_of((TensorSpec(name="x", shape=(-1, 8, 8, 3), dtype="uint8"),))
    assert bytes_in
    assert arithmetic(bytes_in, "imagenet") == {"layout": "NHWC", "dtype": "uint8"}


def test_crop_is_of_a_picture_one_seventh_larger() -> None:
    found = pictures_of((TensorSpec(name="x", shape=(-1, 3, 224, 224), dtype="float32"),))
    assert found
    assert placed(found, (224, 224), "crop") == {"resize_shorter": 256, "center_crop": 224}
    assert placed(found, (224, 224), "whole") == {"resize": (224, 224)}


@pytest.mark.parametrize(
    ("isa", "layouts"),
    [(IsaLevel.AVX2, ["recurrent", "recurrent_7bit"]), (IsaLevel.AVX512_CORE_VNNI, ["recurrent"])],
)
def test_sequences_are_released_in_a_layout_whose_sums_fit(isa: IsaLevel, layouts: list[str]) -> None:
    words = TensorSpec(name="words", shape=(-1, 1), dtype="int64", sequence=True)
    assert quantization((words,), isa)["layouts"] == layouts
