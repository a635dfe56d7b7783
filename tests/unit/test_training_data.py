"""The digest that shows whether training data changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from paddle_int8.tasks.config.data import Source
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.sources.callable import CallableSource
from paddle_int8.tasks.data.sources.idx import IdxSource
from paddle_int8.tasks.data.sources.image_folder import ImageFolderSource
from paddle_int8.tasks.data.sources.npz import NpzSource
from paddle_int8.tasks.training.data import training_digest


def samples(value: int = 0, *, labelled: bool = True) -> tuple[Any, Any]:
    return np.full((2, 3), value), np.arange(2) if labelled else None


def _function(**arguments: Any) -> CallableSource:
    return CallableSource(kind="callable", function=f"{__name__}:samples", arguments=arguments)


def _folder(root: Path, colour: int = 0) -> ImageFolderSource:
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), colour).save(root / name / "1.png")
    return ImageFolderSource(kind="image_folder", root=root)


def test_training_digest_of_a_folder_moved_elsewhere_is_the_same(tmp_path: Path) -> None:
    assert training_digest(_folder(tmp_path / "a")) == training_digest(_folder(tmp_path / "b"))


def test_training_digest_of_equal_arrays_is_the_same() -> None:
    assert training_digest(_function(value=1)) == training_digest(_function(value=1))


def _changed_pixel(root: Path) -> Source:
    return _folder(root, colour=1)


def _renamed_class(root: Path) -> Source:
    source = _folder(root)
    (root / "dog").rename(root / "cow")
    return source


def _listed(root: Path, lines: str) -> Source:
    _folder(root)
    (root / "list.txt").write_text(lines, encoding="utf-8")
    return ImageFolderSource(kind="image_folder", root=root, list_file=root / "list.txt")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_changed_pixel, id="pixel"),
        pytest.param(_renamed_class, id="class"),
        pytest.param(lambda root: _listed(root, "cat/1.png 0\ndog/1.png 0\n"), id="label"),
        pytest.param(lambda root: _listed(root, "cat/1.png 0\n"), id="fewer"),
    ],
)
def test_training_digest_of_another_folder_is_another(
    tmp_path: Path, change: Callable[[Path], Source]
) -> None:
    assert training_digest(_folder(tmp_path / "a")) != training_digest(change(tmp_path / "b"))


@pytest.mark.parametrize("arguments", [{"value": 1}, {"labelled": False}], ids=["value", "labels"])
def test_training_digest_of_other_arrays_is_another(arguments: dict[str, Any]) -> None:
    assert training_digest(_function()) != training_digest(_function(**arguments))


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(lambda path: NpzSource(kind="npz", path=path), id="npz"),
        pytest.param(lambda path: IdxSource(kind="idx", images=path), id="idx"),
    ],
)
def test_training_digest_of_a_missing_file_names_it(tmp_path: Path, source: Callable[[Path], Source]) -> None:
    with pytest.raises(DataError, match="absent"):
        training_digest(source(tmp_path / "absent"))
