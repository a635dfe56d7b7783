"""Computes one digest of all training data, so that a scheduled training runs only when the data changed."""

from __future__ import annotations

import hashlib

from paddle_int8.tasks.config.data import Source
from paddle_int8.tasks.data.sources import SOURCES


def training_digest(source: Source) -> str:
    """SHA-256 over the labels and samples of a source, hexadecimal.

    Files count by their bytes, and a function's arrays by their values. The path of an image folder does not
    count. Since this runs the function of a callable source, call it in an isolated process.
    Raises: DataError when a file is missing or the function fails.
    """
    digest = hashlib.sha256(source.kind.encode())
    for line in SOURCES.find(source.kind).content(source):
        digest.update(f"\0{line}".encode())
    return digest.hexdigest()
