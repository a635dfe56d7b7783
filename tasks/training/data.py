"""The content of training data as one digest, so that a schedule trains only on data that changed."""

from __future__ import annotations

import hashlib

from paddle_int8.tasks.config.data import Source
from paddle_int8.tasks.data.sources import SOURCES


def training_digest(source: Source) -> str:
    """SHA-256 of labels and samples, hexadecimal: of files as they are, of a function's arrays by value.

    An image folder's own path does not count. A function runs, so call this in an isolated process.
    Raises: DataError when a file is missing or the function fails.
    """
    digest = hashlib.sha256(source.kind.encode())
    for line in SOURCES.find(source.kind).content(source):
        digest.update(f"\0{line}".encode())
    return digest.hexdigest()
