"""Makes samples from arrays: one column for each input of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.data.preprocessing import frame_array
from paddle_int8.tasks.data.sources.source import ONLY_INPUT, Labels, Sample, Samples, error

Column = Array | list[Array]
"""The samples of one input: an array [N, ...], or a list of N arrays [length, ...]."""


def samples_of(
    columns: Mapping[str, Column], labels: object, preprocessing: Preprocessing, name: str
) -> Samples:
    """Samples from `columns`, one for each model input.

    labels: one for each sample; for sequences, a list of arrays; or None.
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
                raise error(
                    f"NaN, infinity or more than float32 holds in sample {index} of {name}",
                    "finite values",
                    "clean the data",
                )
            sample[key] = value if isinstance(column, list) else frame_array(value, preprocessing)
        return sample

    several = is_list_of_arrays(labels)
    if several and len(cast("list[Array]", labels)) != count:
        raise error(f"{name} has another number of labels", "labels for each sequence", "align them")
    one = None if labels is None or several else as_array(labels, name)
    return Samples(
        count=count,
        labels=_checked(one, count, sample_name),
        read=read,
        name=sample_name,
        sequence_labels=cast("list[Labels]", labels) if several else None,
    )


def _common_count(columns: Mapping[str, Column], name: str) -> int:
    """The number of samples. Raises: DataError when columns differ in it, or hold anything but numbers."""
    types = {key: {each.dtype for each in _parts(column)} for key, column in columns.items()}
    if strange := {
        key: ", ".join(sorted(str(dtype) for dtype in found))
        for key, found in types.items()
        if any(dtype.kind not in "biuf" for dtype in found)
    }:
        raise error(f"{name} has inputs of types {strange}", "numbers", "encode them as numbers")
    counts = {
        key: len(column) for key, column in columns.items() if all(each.ndim > 0 for each in _parts(column))
    }
    if len(set(counts.values())) != 1 or len(counts) != len(columns):
        raise error(
            f"{name} has inputs of shapes { {key: _shape(column) for key, column in columns.items()} }",
            "for each model input one array [N, ...], or for sequences a list of N arrays [length, ...], "
            "with the same N in all",
            "align the arrays",
        )
    return next(iter(counts.values()))


def _parts(column: Column) -> list[Array]:
    return column if isinstance(column, list) else [column]


def _shape(column: Column) -> tuple[int, ...] | str:
    return f"{len(column)} arrays of different shapes" if isinstance(column, list) else column.shape


def is_list_of_arrays(values: object) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(each, np.ndarray) for each in values)


def as_array(values: object, name: str) -> Array:
    try:
        return np.asarray(values)
    except ValueError as failure:  # NumPy raises it for ragged lists
        raise error(
            f"{name}: {failure}",
            "arrays of numbers",
            "make all samples of one shape, or return a list of NumPy arrays, one a sequence",
        ) from failure


def _finite(value: Array) -> bool:
    with np.errstate(over="ignore"):
        return value.dtype.kind != "f" or bool(np.isfinite(value.astype(np.float32)).all())


def _checked(labels: Array | None, count: int, name: Callable[[int], str]) -> Labels | None:
    if labels is None:
        return None
    if labels.shape != (count,):
        raise error(
            f"labels of shape {list(labels.shape)} for {count} samples",
            f"one label a sample, [{count}]",
            "align labels and samples",
        )
    if labels.dtype.kind not in "iu":
        raise error(f"labels of {labels.dtype}", "whole numbers from 0", "number the classes from 0")
    labels = labels.astype(np.int64)
    if (labels < 0).any():
        first = int(np.argmax(labels < 0))
        raise error(f"label {labels[first]} of {name(first)}", "labels from 0", "correct the labels")
    return labels
