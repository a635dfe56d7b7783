"""The source `image_folder`: pictures that a list names, or that lie in class folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from paddle_int8.tasks.config.data import Preprocessing, Source
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.pictures.class_folders import images_by_folder
from paddle_int8.tasks.data.pictures.image_files import ImageFiles
from paddle_int8.tasks.data.pictures.list_file import listed_images
from paddle_int8.tasks.data.pictures.picture_file import opened
from paddle_int8.tasks.data.preprocessing import frame_picture
from paddle_int8.tasks.data.sources.source import ONLY_INPUT, Sample, Samples, SourceKind, content_digest


class ImageFolderSource(Source):
    """Images below `root`, labelled by a list file or by their folders.

    `list_file` has one `relative/path label` a line; the label is optional. Without a list file, every image
    in `root/<class>/` is taken, and the classes are numbered in sorted order. If `root` has no folders, the
    images in it are taken without labels. A photograph is turned as its EXIF orientation says. Pixels of 16
    bits are reduced to their upper byte, and an alpha channel is dropped.
    """

    model_config = ConfigDict(title="Image folder")

    kind: Literal["image_folder"] = Field(description="Images in folders.")
    root: Path = Field(description="Folder of the images.")
    list_file: Path | None = Field(
        default=None,
        description="Text file with one `relative/path label` a line; without it, each folder is a class.",
    )


def image_files(source: ImageFolderSource) -> ImageFiles:
    """The pictures of the source: those that its list names, or all that are in its folder.

    Raises: DataError when the list or the folder is missing, or cannot be understood.
    """
    if not source.root.is_dir():
        raise DataError(
            found=f"no folder {source.root}", required="a folder of images", remedy="correct `root`"
        )
    found = (
        listed_images(source.root, source.list_file) if source.list_file else images_by_folder(source.root)
    )
    if not found.files:
        left_out = "; ".join(found.said())
        raise DataError(
            found=f"no samples in {source.list_file or source.root}{f' ({left_out})' if left_out else ''}",
            required="at least one picture",
            remedy="correct `root` or `list_file`; see docs/reference/configuration.md",
        )
    return found


def open_images(source: ImageFolderSource, preprocessing: Preprocessing) -> Samples:
    found = image_files(source)

    def read(index: int) -> Sample:
        with opened(found.files[index]) as picture:
            return {ONLY_INPUT: frame_picture(picture, preprocessing)}

    return Samples(
        count=len(found.files),
        labels=None if found.labels is None else np.array(found.labels, dtype=np.int64),
        read=read,
        name=lambda index: str(found.files[index]),
        class_names=found.class_names,
        left_out=found.counts(),
        notes=found.said(),
    )


def describe(source: ImageFolderSource, written: Callable[[PurePath], str]) -> str:
    return written(source.list_file or source.root)


def content(source: ImageFolderSource) -> Iterator[str]:
    """Path, label and content of every picture. The paths are relative to the folder."""
    found = image_files(source)
    for path, label in zip(found.files, found.labels or repeat(None), strict=False):
        yield f"{os.path.relpath(path, source.root)} {label} {content_digest(path)}"


SOURCE = SourceKind(
    kind="image_folder", section=ImageFolderSource, open=open_images, describe=describe, content=content
)
