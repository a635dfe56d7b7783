"""Packs folders into tar archives, and unpacks archives without letting a member out of the target folder.

Python's own extraction filters of `tarfile` exist only from 3.11.4 on, and Debian 12 ships 3.11.2.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath

from paddle_int8.tasks.contracts.errors import StorageError


def pack(folder: Path, archive: Path) -> None:
    """Writes everything in `folder` into the uncompressed tar file `archive`."""
    with tarfile.open(archive, "w", dereference=True) as stream:  # a hard link is stored as a file of its own
        stream.add(folder, arcname=".")


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks the files and folders of `archive`, compressed or not, into the existing `folder`.

    Owners, modes and times are not kept.
    Raises: StorageError when a member lies outside the folder or is a link or a device, or when the archive
    is damaged; the members before that one are unpacked by then.
    """
    try:
        with tarfile.open(archive) as stream:
            for member in stream:
                _unpack_member(stream, member, folder)
    except (tarfile.TarError, EOFError) as error:
        raise StorageError(
            found=f"{archive.name}: {error}",
            required="a whole tar archive",
            remedy="delete it, and have it written or fetched anew",
        ) from error


def _unpack_member(stream: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not (member.isreg() or member.isdir()):
        raise StorageError(
            found=f"the member {member.name!r} in {Path(str(stream.name)).name}",
            required="an archive of files and folders inside its own folder",
            remedy="somebody else has written it: find out who, then delete it",
        )
    target = folder / name
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = stream.extractfile(member)
    assert content is not None  # a regular file always has content, if only an empty one
    with content, target.open("xb") as file:
        shutil.copyfileobj(content, file)
