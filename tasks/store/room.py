"""Checks that the home folder has room for what a program is about to write."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from paddle_int8.tasks.contracts.errors import StorageError, storage_error

MIN_FREE_BYTES = 64 << 20


def require_room(home: Path) -> None:
    """Requires a home folder that can be written.

    Raises: StorageError when it cannot be written, or its disk is full.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(home))
    except OSError as error:
        raise storage_error(error, home) from error
    free = shutil.disk_usage(home).free
    if free < MIN_FREE_BYTES:
        raise StorageError(
            found=f"{free >> 20} MiB free in {home}",
            required=f"{MIN_FREE_BYTES >> 20} MiB, for the embedded databases alone",
            remedy="free space or set PADDLE_INT8_HOME to a larger disk",
        )
