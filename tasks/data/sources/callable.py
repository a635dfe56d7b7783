"""The source `callable`: a function that returns arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any, Literal, cast

import numpy as np
from pydantic import ConfigDict, Field

from paddle_int8.tasks.config.callables import imported
from paddle_int8.tasks.config.data import Preprocessing, Source
from paddle_int8.tasks.config.spoken import CallableName
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.data.sources.columns import Column, as_array, is_list_of_arrays, samples_of
from paddle_int8.tasks.data.sources.source import ONLY_INPUT, Samples, SourceKind, error


class CallableSource(Source):
    """A Python function: `function(**arguments)` returns `(inputs, labels)`.

    inputs: an array [N, ...] for a single input, or a dict of arrays by input name. The value of a sequence
    input is a list of N arrays [length, ...]. labels: int [N], a list of N arrays of labels, or None. Paths
    among the arguments are passed on unchanged: they are not resolved against the configuration's folder.
    """

    model_config = ConfigDict(title="Python function")

    kind: Literal["callable"] = Field(description="A Python function.")
    function: CallableName = Field(description="`package.module:function` that returns `(inputs, labels)`.")
    arguments: dict[str, object] = Field(
        default_factory=dict, description="Keyword arguments of the function."
    )


def open_arrays(source: CallableSource, preprocessing: Preprocessing) -> Samples:
    inputs, labels = call_source(source)
    named = inputs if isinstance(inputs, dict) else {ONLY_INPUT: inputs}
    columns = {name: _column(values, source.function) for name, values in named.items()}
    return samples_of(columns, labels, preprocessing, source.function)


def _column(values: object, name: str) -> Column:
    """One array [N, ...]; for sequences of different lengths, a list of N arrays [length, ...]."""
    if is_list_of_arrays(values):
        sequences = cast("list[Array]", values)
        if len({each.shape for each in sequences}) > 1:
            return sequences
    return as_array(values, name)


def call_source(source: CallableSource) -> tuple[object, object]:
    """(inputs, labels) as the function returns them. Raises: DataError when it fails."""
    function = resolve(source.function)
    try:
        returned = function(**source.arguments)
    except PipelineError:
        raise
    except Exception as failure:  # the user's own code may raise anything
        raise error(
            f"{source.function} raised {type(failure).__name__}: {failure}",
            "a function that returns (inputs, labels)",
            "correct the function or its `arguments`",
        ) from failure
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise error(
            f"{source.function} returned {type(returned).__name__}",
            "a tuple (inputs, labels)",
            "return `inputs, None` when there are no labels",
        )
    return returned


def resolve(name: str) -> Callable[..., object]:
    """The function that `package.module:function` names. Raises: DataError when there is none."""
    try:
        found = imported(name)
    except PipelineError:
        raise
    except Exception as failure:  # importing runs the user's own code
        raise error(
            f"{name}: {type(failure).__name__}: {failure}",
            "`package.module:function` that Python can import",
            "correct the name or the module; PYTHONPATH must reach it",
        ) from failure
    if not callable(found):
        raise error(f"{name} is of type {type(found).__name__}", "a function", "correct the name")
    return cast("Callable[..., Any]", found)


def describe(source: CallableSource, written: Callable[[PurePath], str]) -> str:
    return source.function + (f" {source.arguments}" if source.arguments else "")


def content(source: CallableSource) -> Iterator[str]:
    """A digest of each array's values, so that equal arrays count as equal data."""
    inputs, labels = call_source(source)
    named = inputs if isinstance(inputs, dict) else {"": inputs}
    for name, values in (*sorted(named.items()), ("labels", labels)):
        yield f"{name} {_array_digest(values)}"


def _array_digest(values: object) -> str:
    if values is None:
        return "none"
    array = np.ascontiguousarray(values)
    if array.dtype.hasobject:
        raise error(
            "training data of Python objects",
            "arrays of numbers or text",
            "return arrays from the function that `training_data` names",
        )
    header = f"{array.dtype.str} {array.shape} "
    return hashlib.sha256(header.encode() + array.tobytes()).hexdigest()


SOURCE = SourceKind(
    kind="callable", section=CallableSource, open=open_arrays, describe=describe, content=content
)
