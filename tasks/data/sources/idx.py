"""The source `idx`: files in MNIST's format."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from paddle_int8.tasks.config.data import Preprocessing, Source
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.data.sources.columns import samples_of
from paddle_int8.tasks.data.sources.source import ONLY_INPUT, Samples, SourceKind, content_digest, error

IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class IdxSource(Source):
    """IDX files as MNIST and Fashion-MNIST ship them, gzipped or not."""

    model_config = ConfigDict(title="IDX files")

    kind: Literal["idx"] = Field(description="IDX files, such as MNIST's.")
    images: Path = Field(description="IDX file of the images.")
    labels: Path | None = Field(default=None, description="IDX file of the labels.")


def open_idx(source: IdxSource, preprocessing: Preprocessing) -> Samples:
    images = read_idx(source.images)
    labels = read_idx(source.labels) if source.labels else None
    return samples_of({ONLY_INPUT: images}, labels, preprocessing, str(source.images))


def read_idx(path: Path) -> Array:
    """The array in an IDX file, gzipped or not, in native byte order.

    Raises: DataError when the header or the length is wrong.
    Source: http://yann.lecun.com/exdb/mnist/, "The IDX file format".
    """
    try:
        raw = path.read_bytes()
        data = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as failure:
        raise error(
            f"{path}: {failure}", "a whole, readable IDX file", "correct the path, or fetch the file anew"
        ) from failure
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_DTYPES or len(data) < 4 + 4 * data[3]:
        raise error(f"{path} has no IDX header", "IDX, gzipped or not", "give the original file")
    shape = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    dtype = np.dtype(IDX_DTYPES[data[2]])
    body = data[4 + 4 * data[3] :]
    expected = math.prod(shape) * dtype.itemsize
    if len(body) != expected:
        raise error(
            f"{path} holds {len(body)} bytes of values",
            f"{expected} bytes for {list(shape)}",
            "fetch it anew",
        )
    return np.frombuffer(body, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))


def describe(source: IdxSource, written: Callable[[PurePath], str]) -> str:
    return written(source.images)


def content(source: IdxSource) -> Iterator[str]:
    yield from (content_digest(path) for path in (source.images, source.labels) if path)


SOURCE = SourceKind(kind="idx", section=IdxSource, open=open_idx, describe=describe, content=content)
