"""The artifact store: a content-addressed folder that holds every artifact.

A step writes into a scratch folder on the same file system. `commit` then renames that folder to
`<kind>/<digest of the content>`. So an artifact is either whole or absent, and equal content is stored once.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paddle_int8.tasks.contracts.errors import storage_error
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.process.ownership import forget_the_dead, lives, owner

CHUNK_BYTES = 1 << 20


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def folder_digest(folder: Path, *, ignore: frozenset[str] = frozenset()) -> str:
    """SHA-256 over the relative name and the content of every file below `folder`, hexadecimal.

    ignore: relative names of files that do not count.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name not in ignore:
            digest.update(f"{name}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


@contextmanager
def scratch(root: Path, step: str) -> Iterator[Path]:
    """An empty folder under `root` for one step's output, removed when the context ends.

    Raises: StorageError when the disk is full or the folder cannot be written.
    """
    folder: Path | None = None
    place = root / "scratch"
    try:
        place.mkdir(parents=True, exist_ok=True)
        own = place / owner(place)
        own.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{step}-", dir=own))
        yield folder
    except OSError as error:
        raise storage_error(error, root) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(root: Path) -> None:
    """Removes the scratch folders of this process and of processes that have ended."""
    place = root / "scratch"
    if not place.is_dir():
        return
    own = owner(place)
    for folder in filter(Path.is_dir, place.iterdir()):
        if folder.name == own or not lives(place, folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    forget_the_dead(place)


def commit(folder: Path, root: Path, kind: str, digest: str) -> StoredPath:
    """Renames `folder` to `root/kind/<digest>`, and returns that path.

    When the artifact exists already, it is kept and `folder` stays where it is.
    Raises: StorageError when the folder cannot be renamed.
    """
    target = StoredPath(root / kind / digest[:32])
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise storage_error(error, root) from error
    return target
