"""Temporary folders that bear their process's name, so that what a `kill -9` leaves behind is found."""

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
    """What the names of this process's temporary folders begin with."""
    return f"{PREFIX}{owner(_place())}-"


def name_multiprocessing_folder() -> None:
    """Has multiprocessing, whose own name would tell nothing, keep its sockets in a folder of this name."""
    cpython.keep_sockets_in(lambda: tempfile.mkdtemp(prefix=prefix()))


def remove_own() -> None:
    """Removes this process's temporary folders, before it ends without unwinding."""
    place = _place()
    for folder in place.glob(f"{prefix()}*"):
        shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Removes the temporary folders of processes that are dead, a worker's among them."""
    for place in filter(Path.is_dir, (_place(), _of_user())):
        _sweep(place)


def _sweep(place: Path) -> None:
    for folder in filter(Path.is_dir, place.iterdir()):
        if (owned := OWNED.match(folder.name)) and not lives(place, owned[1]):
            shutil.rmtree(folder, ignore_errors=True)
    forget_the_dead(place)


def of_user() -> Path:
    """A folder among the host's temporary ones that is this user's alone, where names need not be anybody's.

    Raises: StorageError when it cannot be made, or is somebody else's.
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
