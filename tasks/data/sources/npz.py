"""The source `npz`: a NumPy archive."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from paddle_int8.tasks.config.data import Preprocessing, Source
from paddle_int8.tasks.data.sources.columns import samples_of
from paddle_int8.tasks.data.sources.source import Sample, Samples, SourceKind, content_digest, error


class NpzSource(Source):
    """A NumPy `.npz` archive with one array for each model input, under the input's name, and the labels.

    If the model has a single input, its array may have any name.
    """

    model_config = ConfigDict(title="NumPy archive")

    kind: Literal["npz"] = Field(description="A NumPy archive.")
    path: Path = Field(description="The `.npz` file.")
    labels: str = Field(
        default="labels",
        description="Name of the array that holds the labels. An archive without the default `labels` "
        "has no labels.",
    )


def open_archive(source: NpzSource, preprocessing: Preprocessing) -> Samples:
    try:
        with source.path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays: Sample = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as failure:
        raise error(
            f"{source.path}: {failure}", "an .npz of plain arrays", "save it with numpy.savez"
        ) from failure
    if source.labels not in arrays and source.labels != NpzSource.model_fields["labels"].default:
        raise error(
            f"no array {source.labels!r} in {source.path}, only {', '.join(arrays) or 'nothing'}",
            "the array that `labels` names",
            "correct `labels`, or leave it out when there are none",
        )
    labels = arrays.pop(source.labels, None)
    return samples_of(arrays, labels, preprocessing, str(source.path))


def describe(source: NpzSource, written: Callable[[PurePath], str]) -> str:
    return written(source.path)


def content(source: NpzSource) -> Iterator[str]:
    yield content_digest(source.path)


SOURCE = SourceKind(kind="npz", section=NpzSource, open=open_archive, describe=describe, content=content)
