"""Downloads files from MLflow's artifacts into a folder, never outside of it, and never unpickles one.

The names of the files come from whoever wrote to the artifact store, so each is checked before its file is
written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.tracking.connection import redact, registry_uri
from paddle_int8.tasks.tracking.mlflow_private import artifact_repository

if TYPE_CHECKING:
    from mlflow.entities import FileInfo
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

MOST_FILES = 10_000
MOST_BYTES = 64 << 30
PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth"})
PICKLE_MARK = 0x80
"""The first byte of a pickle of protocol 2 or later. The second byte is the protocol's number."""


def repository(uri: str, tracking_uri: str) -> ArtifactRepository:
    """Where artifacts lie; a server that proxies them is asked at `tracking_uri`."""
    return artifact_repository(uri, tracking_uri=tracking_uri, registry_uri=registry_uri(tracking_uri))


def download(
    source: ArtifactRepository, path: str, folder: Path, *, wanted: Callable[[PurePosixPath], bool]
) -> Path:
    """Copies the wanted files below `path` into the empty folder `folder`, and returns `folder`.

    `path` is "" for all artifacts. `wanted` is given each file's name relative to `path`.
    Raises: RegistryError when a name or a link leads out of the artifacts, a file is a pickle, or there are
    too many or too large files.
    """
    total = 0
    for count, (name, size) in enumerate(_files(source, path)):
        total += size
        if count >= MOST_FILES or total > MOST_BYTES:
            raise _refused(f"more than {MOST_FILES} files or {MOST_BYTES >> 30} GiB in {path or 'it'}")
        relative = name.relative_to(path) if path else name
        if not wanted(relative):
            continue
        _require_inside(source.artifact_uri, name)
        staging = folder / ".download"
        staging.mkdir(parents=True, exist_ok=True)
        with _store_errors(source):
            fetched = Path(source.download_artifacts(str(name), str(staging)))  # type: ignore[no-untyped-call]
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        fetched.rename(target)
        if is_pickle(target):
            raise _refused(f"{name} is a pickle")
    _remove_empty(folder / ".download")
    return folder


def folders(source: ArtifactRepository, path: str) -> tuple[str, ...]:
    """The folders directly below `path`."""
    return tuple(str(_safe(item.path)) for item in _listed(source, path) if item.is_dir)


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, judged by its name and its first bytes. Unpickling can run any code."""
    with path.open("rb") as stream:
        head = stream.read(2)
    return path.suffix.lower() in PICKLES or (len(head) == 2 and head[0] == PICKLE_MARK and head[1] <= 5)


def _files(source: ArtifactRepository, path: str) -> Iterator[tuple[PurePosixPath, int]]:
    for item in _listed(source, path):
        name = _safe(item.path)
        if path and not name.is_relative_to(path):
            raise _refused(f"{name} listed in {path}")
        if item.is_dir:
            yield from _files(source, str(name))
        else:
            yield name, item.file_size or 0


def _listed(source: ArtifactRepository, path: str) -> list[FileInfo]:
    with _store_errors(source):
        return list(source.list_artifacts(path or None))


@contextmanager
def _store_errors(source: ArtifactRepository) -> Iterator[None]:
    """Turns any error of the artifact store into a RegistryError.

    MLflow passes on whatever exception the library of an object store raises.
    """
    try:
        yield
    except Exception as error:
        raise RegistryError(
            found=redact(f"{source.artifact_uri}: {type(error).__name__}: {error}"),
            required="an artifact store that answers",
            remedy="check the store, and its credentials in this process's environment",
        ) from error


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    parts = PurePosixPath(unquote(name)).parts
    if path.is_absolute() or ".." in (*path.parts, *parts) or "\\" in name or "\0" in name or not path.parts:
        raise _refused(f"a file named {name!r}")
    return path


def _require_inside(uri: str, name: PurePosixPath) -> None:
    """Checks that a file on this host is not a link that leads out of the artifacts."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        return
    root = Path(unquote(parts.path) if parts.scheme else uri).resolve()
    if not (root / name).resolve().is_relative_to(root):
        raise _refused(f"{name} is a link out of the artifacts")


def _remove_empty(folder: Path) -> None:
    if folder.is_dir():
        for below in sorted(folder.rglob("*"), reverse=True):
            below.rmdir()
        folder.rmdir()


def _refused(found: str) -> RegistryError:
    return RegistryError(
        found=found,
        required="plain files, named within the artifacts",
        remedy="find out who wrote them; delete the version and release again",
    )
