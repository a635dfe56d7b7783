"""Hosts that share one store: what a step lacks is fetched before it, what it made is published after it.

Each artifact is one object, a tar file, at `<PADDLE_INT8_SHARED_STORE>/<kind>/<digest>.tar`: whole or absent,
as it is on disk. The local store is the cache. Where no shared store is set nothing happens here.
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
    """Every path of the store in artifacts, at any depth of dataclasses and collections."""
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
    """Brings the artifacts in `value` that this host lacks.

    Raises: StorageError when they are nowhere, cannot be had, or reach outside their own folder.
    """
    for path in stored_paths(value):
        if not path.exists():
            _fetch(path.artifact())


def publish(value: object) -> None:
    """Uploads the artifacts in `value` that the shared store lacks. Raises: StorageError."""
    if Settings().shared_store is None:
        return
    for artifact in {path.artifact() for path in stored_paths(value)}:
        with _reached() as (files, root):
            target = f"{root}/{artifact.relative()}.tar"
            if not files.exists(target):
                with _written(files, target) as tar:
                    pack(artifact, tar)


def read_shared(name: str) -> bytes | None:
    """A small object of the shared store; None when there is none. Raises: StorageError."""
    if Settings().shared_store is None:
        return None
    with _reached() as (files, root):
        content: bytes | None = files.cat_file(f"{root}/{name}") if files.exists(f"{root}/{name}") else None
        return content


def write_shared(name: str, content: bytes) -> None:
    """A small object into the shared store, where there is one. Raises: StorageError."""
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
    """The shared store's file system and its root there, with every failure as a StorageError."""
    from fsspec.core import url_to_fs

    url = str(Settings().shared_store)
    try:
        files, root = url_to_fs(url)
        files.invalidate_cache()  # other hosts write here
        yield files, root.rstrip("/")
    except StorageError:
        raise
    except Exception as error:  # each kind of store has its own
        raise StorageError(
            found=f"{url}: {type(error).__name__}: {error}",
            required="a shared store that can be read and written",
            remedy="check PADDLE_INT8_SHARED_STORE and its credentials; s3:// needs paddle-int8[server]",
        ) from error


@contextmanager
def _written(files: AbstractFileSystem, target: str) -> Iterator[Path]:
    """A local file that becomes the object `target` when the context ends without an error.

    Through another name, since not every file system shows an upload only when it is whole.
    """
    with scratch(Settings().store, "publish") as folder:
        local = folder / "object"
        yield local
        files.makedirs(target.rpartition("/")[0], exist_ok=True)
        part = f"{target}.{uuid4().hex}.part"
        files.put_file(str(local), part)
        files.mv(part, target)
