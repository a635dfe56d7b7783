"""A kind of source of another package: a folder with an array in each of two files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from paddle_int8.tasks.config.data import Preprocessing, Source
from paddle_int8.tasks.data.sources.columns import samples_of
from paddle_int8.tasks.data.sources.source import ONLY_INPUT, Samples, SourceKind, content_digest

SAMPLES, LABELS = "samples.npy", "labels.npy"


class ArraysSource(Source):
    """`samples.npy` and `labels.npy` in a folder."""

    model_config = ConfigDict(title="Folder of arrays")

    kind: Literal["arrays"] = Field(description="Two arrays in a folder.")
    folder: Path = Field(description="The folder.")


def open_arrays(source: ArraysSource, preprocessing: Preprocessing) -> Samples:
    samples, labels = (np.load(source.folder / name) for name in (SAMPLES, LABELS))
    return samples_of({ONLY_INPUT: samples}, labels, preprocessing, str(source.folder))


def describe(source: ArraysSource, written: Callable[[PurePath], str]) -> str:
    return f"the arrays in {written(source.folder)}"


def content(source: ArraysSource) -> Iterator[str]:
    yield from (content_digest(source.folder / name) for name in (SAMPLES, LABELS))


SOURCE = SourceKind(kind="arrays", section=ArraysSource, open=open_arrays, describe=describe, content=content)
