"""One benchmark at a time on a host, whoever started it.

Steps that compute hold the lock shared, steps that measure hold it alone; the operating system frees
it when a process ends, however it ends. The file lies where every user of the host finds it, whatever
their TMPDIR; a container sees its own folders only, unless it is given one of the host's.
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
"""What the progress reports of a step are called that waits for the lock."""
NAME = "paddle-int8.lock"
PLACES = (Path("/run/lock"), Path("/dev/shm"), Path("/tmp"))
"""Of these the first into which every user may write: the same for all of them."""
CONTAINER_MARKS = (".dockerenv", "run/.containerenv", "run/systemd/container")
"""Files of Docker, of Podman, and of what follows systemd's container interface."""
FOR_EVERYBODY = stat.S_ISVTX | stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def computing() -> Iterator[None]:
    """Held by work that would disturb a measurement; many may hold it together."""
    with _locked(fcntl.LOCK_SH, "waiting for a measurement on this host to end"):
        yield


@contextmanager
def measuring() -> Iterator[None]:
    """Held by work whose result is a time; nobody else computes or measures meanwhile."""
    with _locked(fcntl.LOCK_EX, "waiting for other work on this host to end"):
        yield


def not_excluded(root: Path = Path("/")) -> str | None:
    """Whose work may disturb a measurement all the same, in a sentence; None when nobody's can.

    `root` is the file system's. A folder that the user has named is taken to be the whole host's.
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
            fcntl.flock(stream, mode)
            progress.end(WAIT)
        yield


def _open() -> int:
    """Raises: StorageError when the lock cannot be made in any folder."""
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
    """For reading, which suffices for a lock and is allowed on other users' files.

    Never as O_CREAT of what is there: the kernel refuses that for another user's file in a folder such as
    /tmp (fs.protected_regular).
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    path = folder / NAME
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        _make(path)
    return os.open(path, flags)


def _make(path: Path) -> None:
    """Readable for everybody before it has its name."""
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
    """Whether the root is an image's layers, as containers have it."""
    with suppress(OSError):
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        return any(line.split()[4] == "/" and " - overlay " in line for line in mounts)
    return False


def _listed(folders: tuple[Path, ...]) -> str:
    return ", ".join(map(str, folders))


def _no_lock(error: OSError, folder: Path) -> StorageError:
    told = storage_error(error, folder)
    return StorageError(
        found=told.found,
        required="a folder for the lock that has measurements take turns",
        remedy="set PADDLE_INT8_LOCK_FOLDER to a folder that you may write",
    )
