"""Opens sources of data. There is one function for each kind of source; samples are read one at a time.

To add a kind, add its section to `tasks/config/data.py`, a function here, and a case to `open_source`.
"""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from paddle_int8.tasks.config.callables import imported
from paddle_int8.tasks.config.data import (
    CallableSource,
    IdxSource,
    ImageFolderSource,
    NpzSource,
    Preprocessing,
    Source,
    TaggedTextSource,
)
from paddle_int8.tasks.contracts.errors import DataError, PipelineError
from paddle_int8.tasks.data.image_folder import image_files
from paddle_int8.tasks.data.pictures.picture_file import opened
from paddle_int8.tasks.data.preprocessing import Array, place, place_array
from paddle_int8.tasks.data.tagged_text import read_tagged_text

Sample = dict[str, Array]
Labels = npt.NDArray[np.int64]
Column = Array | list[Array]
"""The samples of one input: an array [N, ...], or a list of N arrays [length, ...]."""
IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
ONLY_INPUT = ""
"""The name under which a source with a single, unnamed input returns it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """An opened source.

    read: returns sample i by input name, after resizing and cropping.
    name: returns the name by which the user knows sample i: a file, or a position in an array.
    labels: one label for each sample, or None.
    sequence_labels: the labels of each sample, when samples have more than one.
    left_out: how many items of the source were not taken, by reason.
    notes: sentences on what was left out, and on what was assumed and is not obvious.
    """

    count: int
    labels: Labels | None
    read: Callable[[int], Sample]
    name: Callable[[int], str] = "sample {}".format
    sequence_labels: Sequence[Labels] | None = None
    class_names: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def open_source(source: Source, preprocessing: Preprocessing) -> Samples:
    """Opens a source, without reading its samples where the format allows that.

    Raises: DataError when the source is missing, empty, not of its format, or has unusable labels.
    """
    match source:
        case ImageFolderSource():
            samples = _image_folder(source, preprocessing)
        case NpzSource():
            samples = _npz(source, preprocessing)
        case IdxSource():
            samples = _idx(source, preprocessing)
        case TaggedTextSource():
            samples = _tagged_text(source)
        case CallableSource():
            samples = _callable(source, preprocessing)
    if samples.count == 0:
        raise _error(f"no samples in {describe(source)}", "at least one sample", "correct the source")
    return samples


def describe(source: Source) -> str:
    """A line that describes the source, for reports."""
    match source:
        case ImageFolderSource():
            return str(source.list_file or source.root)
        case NpzSource():
            return str(source.path)
        case IdxSource():
            return str(source.images)
        case TaggedTextSource():
            return f"{source.corpus}, lines {source.first_line} to {source.last_line or 'the end'}"
        case CallableSource():
            return source.function + (f" {source.arguments}" if source.arguments else "")


def _image_folder(source: ImageFolderSource, preprocessing: Preprocessing) -> Samples:
    found = image_files(source)

    def read(index: int) -> Sample:
        with opened(found.files[index]) as picture:
            return {ONLY_INPUT: place(picture, preprocessing)}

    return Samples(
        count=len(found.files),
        labels=None if found.labels is None else np.array(found.labels, dtype=np.int64),
        read=read,
        name=lambda index: str(found.files[index]),
        class_names=found.class_names,
        left_out=found.counts(),
        notes=found.said(),
    )


def _npz(source: NpzSource, preprocessing: Preprocessing) -> Samples:
    try:
        with source.path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays: Sample = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise _error(
            f"{source.path}: {error}", "an .npz of plain arrays", "save it with numpy.savez"
        ) from error
    if source.labels not in arrays and source.labels != NpzSource.model_fields["labels"].default:
        raise _error(
            f"no array {source.labels!r} in {source.path}, only {', '.join(arrays) or 'nothing'}",
            "the array that `labels` names",
            "correct `labels`, or leave it out when there are none",
        )
    labels = arrays.pop(source.labels, None)
    return _columns(arrays, labels, preprocessing, str(source.path))


def _idx(source: IdxSource, preprocessing: Preprocessing) -> Samples:
    images = read_idx(source.images)
    labels = read_idx(source.labels) if source.labels else None
    return _columns({ONLY_INPUT: images}, labels, preprocessing, str(source.images))


def read_idx(path: Path) -> Array:
    """The array in an IDX file, gzipped or not, in native byte order.

    Raises: DataError when the header or the length is wrong.
    Source: http://yann.lecun.com/exdb/mnist/, "The IDX file format".
    """
    try:
        raw = path.read_bytes()
        data = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise _error(
            f"{path}: {error}", "a whole, readable IDX file", "correct the path, or fetch the file anew"
        ) from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_DTYPES or len(data) < 4 + 4 * data[3]:
        raise _error(f"{path} has no IDX header", "IDX, gzipped or not", "give the original file")
    shape = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    dtype = np.dtype(IDX_DTYPES[data[2]])
    body = data[4 + 4 * data[3] :]
    expected = math.prod(shape) * dtype.itemsize
    if len(body) != expected:
        raise _error(
            f"{path} holds {len(body)} bytes of values",
            f"{expected} bytes for {list(shape)}",
            "fetch it anew",
        )
    return np.frombuffer(body, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _tagged_text(source: TaggedTextSource) -> Samples:
    sentences = read_tagged_text(source)
    return Samples(
        count=len(sentences),
        labels=None,
        read=lambda index: {ONLY_INPUT: sentences[index].ids[:, None]},
        name=lambda index: f"line {sentences[index].line} of {source.corpus}",
        sequence_labels=[sentence.labels for sentence in sentences],
    )


def _callable(source: CallableSource, preprocessing: Preprocessing) -> Samples:
    inputs, labels = call_source(source)
    named = inputs if isinstance(inputs, dict) else {ONLY_INPUT: inputs}
    columns = {name: _column(values, source.function) for name, values in named.items()}
    return _columns(columns, labels, preprocessing, source.function)


def _column(values: object, name: str) -> Column:
    """The samples as one array [N, ...], or a list of N arrays [length, ...] when their lengths differ."""
    if _is_list_of_arrays(values):
        sequences = cast("list[Array]", values)
        if len({each.shape for each in sequences}) > 1:
            return sequences
    return _array(values, name)


def call_source(source: CallableSource) -> tuple[Any, Any]:
    """Calls the source's function, which returns (inputs, labels). Raises: DataError when it fails."""
    function = resolve(source.function)
    try:
        returned = function(**source.arguments)
    except PipelineError:
        raise
    except Exception as error:  # the user's function may raise anything
        raise _error(
            f"{source.function} raised {type(error).__name__}: {error}",
            "a function that returns (inputs, labels)",
            "correct the function or its `arguments`",
        ) from error
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise _error(
            f"{source.function} returned {type(returned).__name__}",
            "a tuple (inputs, labels)",
            "return `inputs, None` when there are no labels",
        )
    return returned


def resolve(name: str) -> Callable[..., Any]:
    """The function that `package.module:function` names. Raises: DataError when there is none."""
    try:
        found = imported(name)
    except PipelineError:
        raise
    except Exception as error:  # importing runs the user's module, which may raise anything
        raise _error(
            f"{name}: {type(error).__name__}: {error}",
            "`package.module:function` that Python can import",
            "correct the name or the module; PYTHONPATH must reach it",
        ) from error
    if not callable(found):
        raise _error(f"{name} is of type {type(found).__name__}", "a function", "correct the name")
    return cast("Callable[..., Any]", found)


def _columns(
    columns: Mapping[str, Column], labels: object, preprocessing: Preprocessing, name: str
) -> Samples:
    """Samples made of one column for each model input.

    labels: one label for each sample, or, for sequences, a list of arrays.
    """
    count = _common_count(columns, name)
    names = [key if len(columns) > 1 else ONLY_INPUT for key in columns]

    def sample_name(index: int) -> str:
        return f"{name}[{index}]"

    def read(index: int) -> Sample:
        sample = {}
        for key, column in zip(names, columns.values(), strict=True):
            value = column[index]
            if not _finite(value):
                raise _error(
                    f"NaN, infinity or more than float32 holds in sample {index} of {name}",
                    "finite values",
                    "clean the data",
                )
            sample[key] = value if isinstance(column, list) else place_array(value, preprocessing)
        return sample

    several = _is_list_of_arrays(labels)
    if several and len(cast("list[Array]", labels)) != count:
        raise _error(f"{name} has labels of another number", "labels for each sequence", "align them")
    one = None if labels is None or several else _array(labels, name)
    return Samples(
        count=count,
        labels=_checked(one, count, sample_name),
        read=read,
        name=sample_name,
        sequence_labels=cast("list[Labels]", labels) if several else None,
    )


def _common_count(columns: Mapping[str, Column], name: str) -> int:
    """The number of samples N. Raises: DataError when columns differ in N, or hold anything but numbers."""
    types = {key: {each.dtype for each in _parts(column)} for key, column in columns.items()}
    if strange := {
        key: ", ".join(sorted(str(dtype) for dtype in found))
        for key, found in types.items()
        if any(dtype.kind not in "biuf" for dtype in found)
    }:
        raise _error(f"{name} has inputs of types {strange}", "numbers", "encode them as numbers")
    counts = {
        key: len(column) for key, column in columns.items() if all(each.ndim > 0 for each in _parts(column))
    }
    if len(set(counts.values())) != 1 or len(counts) != len(columns):
        raise _error(
            f"{name} has inputs of shapes { {key: _shape(column) for key, column in columns.items()} }",
            "one array [N, ...] a model input, of sequences a list of N arrays [length, ...], the same N in "
            "each",
            "align the arrays",
        )
    return next(iter(counts.values()))


def _parts(column: Column) -> list[Array]:
    return column if isinstance(column, list) else [column]


def _shape(column: Column) -> tuple[int, ...] | str:
    return f"{len(column)} arrays of different shapes" if isinstance(column, list) else column.shape


def _is_list_of_arrays(values: object) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(each, np.ndarray) for each in values)


def _array(values: object, name: str) -> Array:
    try:
        return np.asarray(values)
    except ValueError as error:  # NumPy raises it for ragged lists
        raise _error(
            f"{name}: {error}",
            "arrays of numbers",
            "make all samples of one shape, or return a list of NumPy arrays, one a sequence",
        ) from error


def _finite(value: Array) -> bool:
    with np.errstate(over="ignore"):
        return value.dtype.kind != "f" or bool(np.isfinite(value.astype(np.float32)).all())


def _checked(labels: Array | None, count: int, name: Callable[[int], str]) -> Labels | None:
    if labels is None:
        return None
    if labels.shape != (count,):
        raise _error(
            f"labels of shape {list(labels.shape)} for {count} samples",
            f"one label a sample, [{count}]",
            "align labels and samples",
        )
    if labels.dtype.kind not in "iu":
        raise _error(f"labels of {labels.dtype}", "whole numbers from 0", "number the classes from 0")
    labels = labels.astype(np.int64)
    if (labels < 0).any():
        first = int(np.argmax(labels < 0))
        raise _error(f"label {labels[first]} of {name(first)}", "labels from 0", "correct the labels")
    return labels


def _error(found: str, required: str, remedy: str) -> DataError:
    return DataError(found=found, required=required, remedy=remedy)
