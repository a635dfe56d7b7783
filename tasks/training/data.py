"""Computes one digest of all training data, so that a scheduled training runs only when the data changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import numpy as np

from paddle_int8.tasks.config.data import (
    CallableSource,
    IdxSource,
    ImageFolderSource,
    NpzSource,
    Source,
    TaggedTextSource,
)
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.image_folder import image_files
from paddle_int8.tasks.data.sources import call_source
from paddle_int8.tasks.store.folder import file_digest


def training_digest(source: Source) -> str:
    """SHA-256 over the labels and samples of a source, hexadecimal.

    Files count by their bytes, and a function's arrays by their values. The path of an image folder does not
    count. Since this runs the function of a callable source, call it in an isolated process.
    Raises: DataError when a file is missing or the function fails.
    """
    digest = hashlib.sha256(source.kind.encode())
    for line in _lines(source):
        digest.update(f"\0{line}".encode())
    return digest.hexdigest()


def _lines(source: Source) -> Iterator[str]:
    match source:
        case ImageFolderSource():
            found = image_files(source)
            for path, label in zip(found.files, found.labels or repeat(None), strict=False):
                yield f"{os.path.relpath(path, source.root)} {label} {_digest(path)}"
        case NpzSource():
            yield _digest(source.path)
        case IdxSource():
            yield from (_digest(path) for path in (source.images, source.labels) if path)
        case TaggedTextSource():
            lines = f"{source.first_line} {source.last_line} {source.unknown}"
            files = (source.corpus, source.vocabulary, source.tags, source.replacements, source.words)
            yield from (lines, *(_digest(path) for path in files if path))
        case CallableSource():
            inputs, labels = call_source(source)
            named = inputs if isinstance(inputs, dict) else {"": inputs}
            for name, values in (*sorted(named.items()), ("labels", labels)):
                yield f"{name} {_array_digest(values)}"


def _array_digest(values: object) -> str:
    if values is None:
        return "none"
    array = np.ascontiguousarray(values)
    if array.dtype.hasobject:
        raise DataError(
            found="training data of Python objects",
            required="arrays of numbers or text",
            remedy="return arrays from the function that `training_data` names",
        )
    header = f"{array.dtype.str} {array.shape} "
    return hashlib.sha256(header.encode() + array.tobytes()).hexdigest()


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise DataError(
            found=f"{path}: {error.strerror or error}",
            required="readable training data",
            remedy="correct `training_data`",
        ) from error
