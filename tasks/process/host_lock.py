"""A lock that keeps everything else on the host waiting while a step measures time.

Steps that compute hold the lock together; a step that measures holds it alone. The operating system frees the
lock when its process ends, however it ends. The lock is a file in a folder that all users of the host share,
whatever their TMPDIR. A container sees only its own folders, unless one of the host's is mounted into it.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import StorageError, storage_error
from paddle_int8.tasks.process import progress

WAIT = "wait"
"""The name under which a step that waits for the lock reports its progress."""
NAME = "paddle-int8.lock"
PLACES = (Path("/run/lock"), Path("/dev/shm"), Path("/tmp"))
"""Folders that may hold the lock. The first one that every user may write to is taken, by all users alike."""
CONTAINER_MARKS = (".dockerenv", "run/.containerenv", "run/systemd/container")
"""Files that show a container: Docker's, Podman's, and that of systemd's container interface."""
FOR_EVERYBODY = stat.S_ISVTX | stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def computing() -> Iterator[None]:
    """Holds the lock together with others, for work that would disturb a measurement."""
    with _locked(fcntl.LOCK_SH, "waiting for a measurement on this host to end"):
        yield


@contextmanager
def measuring() -> Iterator[None]:
    """Holds the lock alone, for work that measures time; nobody else computes or measures meanwhile."""
    with _locked(fcntl.LOCK_EX, "waiting for other work on this host to end"):
        yield


def not_excluded(root: Path = Path("/")) -> str | None:
    """A sentence that says whose work may disturb a measurement in spite of the lock; None when nobody's may.

    root: the root of the file system. A folder that the user has set is assumed to be shared by the whole
    host.
    """
    if Settings().lock_folder is not None:
        return None
    remedy = "mount one folder of the host into all of them and set PADDLE_INT8_LOCK_FOLDER to it"
    if any((root / mark).exists() for mark in CONTAINER_MARKS) or _is_overlay(root):
        return f"releases outside of this container do not wait for its measurements; {remedy}"
    if not any(map(_is_for_everybody, PLACES)):
        return (
            "releases with another TMPDIR do not wait for these measurements, since not everybody may write "
            f"to {_listed(PLACES)}; set PADDLE_INT8_LOCK_FOLDER to the same folder for all users"
        )
    return None


@contextmanager
def _locked(mode: int, reason: str) -> Iterator[None]:
    with os.fdopen(_open()) as stream:
        try:
            fcntl.flock(stream, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.tell(progress.Progress(step=WAIT, done=0, total=0, note=reason, waits=True))
            with progress.waiting(WAIT, reason):
                fcntl.flock(stream, mode)
        yield


def _open() -> int:
    """Opens the lock's file and returns its descriptor.

    Raises: StorageError when the file cannot be made in any folder.
    """
    if (own := Settings().lock_folder) is not None:
        folders = [own.expanduser()]
    else:
        folders = [*filter(_is_for_everybody, PLACES), Path(tempfile.gettempdir())]
    for folder in folders[:-1]:
        with suppress(OSError):
            return _open_in(folder)
    try:
        return _open_in(folders[-1])
    except OSError as error:
        raise _no_lock(error, folders[-1]) from error


def _open_in(folder: Path) -> int:
    """Opens the lock's file in `folder` for reading, and makes it first if it is missing.

    Reading is enough for a lock, and is allowed on another user's file. O_CREAT is not used on an existing
    file: the kernel refuses it for another user's file in a folder such as /tmp (fs.protected_regular).
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    path = folder / NAME
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        _make(path)
    return os.open(path, flags)


def _make(path: Path) -> None:
    """Makes the lock's file so that it is readable for everybody from the moment it has its name."""
    number, new = tempfile.mkstemp(prefix=f"{NAME}-", dir=path.parent)
    try:
        os.fchmod(number, stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
        with suppress(FileExistsError):  # somebody was faster
            os.link(new, path)
    finally:
        os.close(number)
        Path(new).unlink()


def _is_for_everybody(folder: Path) -> bool:
    try:
        writable = not os.statvfs(folder).f_flag & os.ST_RDONLY
        return writable and folder.stat().st_mode & FOR_EVERYBODY == FOR_EVERYBODY
    except OSError:
        return False


def _is_overlay(root: Path) -> bool:
    """Whether the root file system is an overlay, as in containers."""
    with suppress(OSError):
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        return any(line.split()[4] == "/" and " - overlay " in line for line in mounts)
    return False


def _listed(folders: tuple[Path, ...]) -> str:
    return ", ".join(map(str, folders))


def _no_lock(error: OSError, folder: Path) -> StorageError:
    failure = storage_error(error, folder)
    return StorageError(
        found=failure.found,
        required="a folder for the lock by which measurements take turns",
        remedy="set PADDLE_INT8_LOCK_FOLDER to a folder that you may write",
    )
