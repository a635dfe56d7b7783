"""Shares artifacts between hosts through one shared store, such as a bucket.

Before a step, the artifacts that this host lacks are fetched; after it, those that it made are published.
Each artifact is one tar file, `<PADDLE_INT8_SHARED_STORE>/<kind>/<digest>.tar`, which like the artifact
itself is either whole or absent. The store on this host serves as the cache. Without
PADDLE_INT8_SHARED_STORE nothing is fetched or published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import StorageError
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.store.archives import pack, unpack
from paddle_int8.tasks.store.folder import commit, scratch

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def stored_paths(value: object) -> Iterator[StoredPath]:
    """Every path in the store that `value` holds, at any depth of dataclasses and collections."""
    if isinstance(value, StoredPath):
        yield value
    elif is_dataclass(value):
        for each in fields(value):
            yield from stored_paths(getattr(value, each.name))
    elif isinstance(value, Mapping):
        yield from stored_paths(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from stored_paths(item)


def fetch(value: object) -> None:
    """Fetches the artifacts in `value` that this host lacks.

    Raises: StorageError when there is no shared store, when an artifact cannot be fetched from it, or when an
    archive has members outside its own folder.
    """
    for path in stored_paths(value):
        if not path.exists():
            _fetch(path.artifact())


def publish(value: object) -> None:
    """Uploads the artifacts in `value` that the shared store lacks.

    Raises: StorageError when the shared store cannot be written.
    """
    if Settings().shared_store is None:
        return
    for artifact in {path.artifact() for path in stored_paths(value)}:
        with _reached() as (files, root):
            target = f"{root}/{artifact.relative()}.tar"
            if not files.exists(target):
                with _written(files, target) as tar:
                    pack(artifact, tar)


def read_shared(name: str) -> bytes | None:
    """The content of a small object in the shared store; None when there is no object or no shared store.

    Raises: StorageError when the shared store cannot be read.
    """
    if Settings().shared_store is None:
        return None
    with _reached() as (files, root):
        content: bytes | None = files.cat_file(f"{root}/{name}") if files.exists(f"{root}/{name}") else None
        return content


def write_shared(name: str, content: bytes) -> None:
    """Writes a small object into the shared store, if there is one.

    Raises: StorageError when the shared store cannot be written.
    """
    if Settings().shared_store is not None:
        with _reached() as (files, root), _written(files, f"{root}/{name}") as path:
            path.write_bytes(content)


def _fetch(artifact: StoredPath) -> None:
    shared, store = Settings().shared_store, Settings().store
    if shared is None:
        raise StorageError(
            found=f"no {artifact}",
            required="the artifact of a step that is done",
            remedy="set PADDLE_INT8_SHARED_STORE on every host that takes part; on a single host, run the "
            f"release again without the cached results in {store / 'results'}",
        )
    relative = str(artifact.relative())
    with _reached() as (files, root), scratch(store, "fetch") as folder:
        name, tar, content = f"{root}/{relative}.tar", folder / "artifact.tar", folder / "content"
        files.get_file(name, str(tar))
        content.mkdir()
        unpack(tar, content)
        commit(content, store, *relative.split("/"))


@contextmanager
def _reached() -> Iterator[tuple[AbstractFileSystem, str]]:
    """The file system of the shared store, and the store's root in it; every failure is a StorageError."""
    from fsspec.core import url_to_fs

    url = str(Settings().shared_store)
    try:
        files, root = url_to_fs(url)
        files.invalidate_cache()  # since other hosts write here too
        yield files, root.rstrip("/")
    except StorageError:
        raise
    except Exception as error:  # each kind of file system raises errors of its own
        raise StorageError(
            found=f"{url}: {type(error).__name__}: {error}",
            required="a shared store that can be read and written",
            remedy="check PADDLE_INT8_SHARED_STORE and its credentials; s3:// needs paddle-int8[server]",
        ) from error


@contextmanager
def _written(files: AbstractFileSystem, target: str) -> Iterator[Path]:
    """A local file that is uploaded as the object `target` when the context ends without an error.

    It is uploaded under another name and then renamed, since some file systems show an unfinished upload.
    """
    with scratch(Settings().store, "publish") as folder:
        local = folder / "object"
        yield local
        files.makedirs(target.rpartition("/")[0], exist_ok=True)
        part = f"{target}.{uuid4().hex}.part"
        files.put_file(str(local), part)
        files.mv(part, target)
