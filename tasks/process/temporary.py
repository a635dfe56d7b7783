"""Temporary folders named after their process, so that what a `kill -9` leaves behind can be removed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

from paddle_int8.tasks.contracts.errors import StorageError
from paddle_int8.tasks.process import cpython
from paddle_int8.tasks.process.ownership import PREFIX, forget_the_dead, lives, owner

OWNED = re.compile(rf"{PREFIX}([0-9a-f]{{8}})-")


def prefix() -> str:
    """The beginning of the names of this process's temporary folders."""
    return f"{PREFIX}{owner(_place())}-"


def name_multiprocessing_folder() -> None:
    """Makes multiprocessing keep its sockets in a folder that is named after this process."""
    cpython.keep_sockets_in(lambda: tempfile.mkdtemp(prefix=prefix()))


def remove_own() -> None:
    """Removes the temporary folders of this process, which is about to end without unwinding its stack."""
    place = _place()
    for folder in place.glob(f"{prefix()}*"):
        shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Removes the temporary folders of all processes that have ended, workers included."""
    for place in filter(Path.is_dir, (_place(), _of_user())):
        _sweep(place)


def _sweep(place: Path) -> None:
    for folder in filter(Path.is_dir, place.iterdir()):
        if (owned := OWNED.match(folder.name)) and not lives(place, owned[1]):
            shutil.rmtree(folder, ignore_errors=True)
    forget_the_dead(place)


def of_user() -> Path:
    """A temporary folder that belongs to this user alone, so that names in it cannot be taken by others.

    Raises: StorageError when the folder cannot be made, or belongs to another user.
    """
    folder = _of_user()
    try:
        folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(errno.EACCES, "it is another user's", str(folder))
    except OSError as error:
        raise StorageError(
            found=f"{folder}: {error.strerror or error}",
            required="a temporary folder of this user's own",
            remedy="remove it, or set TMPDIR to a folder that you may write",
        ) from error
    return folder


def _of_user() -> Path:
    return _place() / f"{PREFIX}{os.getuid()}"


def _place() -> Path:
    return Path(tempfile.gettempdir())
