"""What a kind of source is: its section of a configuration, and what opens it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.config.data import Preprocessing, Source
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.store.folder import file_digest

Sample = dict[str, Array]
S = TypeVar("S", bound=Source)
Labels = npt.NDArray[np.int64]
ONLY_INPUT = ""
"""Name of the input of a source that has one and does not name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """An opened source: `read(i)` is sample i after the spatial preprocessing, by input name.

    `name(i)` is what the user knows it by: a file, or a place in an array. `text(i)` is what a text says, ""
    for other samples. `sequence_labels` are those of
    samples with more than one label, by sample. `left_out` counts what is there and not taken, by reason;
    `notes` say it in words, with all that was understood and is not obvious.
    """

    count: int
    labels: Labels | None
    read: Callable[[int], Sample]
    name: Callable[[int], str] = "sample {}".format
    text: Callable[[int], str] = lambda _index: ""
    sequence_labels: Sequence[Labels] | None = None
    class_names: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind(Generic[S]):
    """The record of a kind of source.

    section: what a configuration says of such a source; its field `kind` is `Literal[kind]`.
    open: the samples, without reading them where the format allows.
    describe: the source in one line, in which the given function writes each path.
    content: what the source holds, in lines that are equal as long as the labelled samples are, wherever
        they lie; a retraining compares them.
    """

    kind: str
    section: type[S]
    open: Callable[[S, Preprocessing], Samples]
    describe: Callable[[S, Callable[[PurePath], str]], str]
    content: Callable[[S], Iterator[str]]

    @property
    def name(self) -> str:
        return self.kind


def content_digest(path: Path) -> str:
    """SHA-256 of a file. Raises: DataError when it cannot be read."""
    try:
        return file_digest(path)
    except OSError as failure:
        raise error(
            f"{path}: {failure.strerror or failure}", "readable training data", "correct `training_data`"
        ) from failure


def error(found: str, required: str, remedy: str) -> DataError:
    return DataError(found=found, required=required, remedy=remedy)
