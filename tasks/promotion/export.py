"""Exports the bundle of a registered version to a folder, and checks that it is unchanged."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from paddle_int8.tasks.contracts.artifacts import Bundle
from paddle_int8.tasks.contracts.errors import RegistryError, StorageError, storage_error
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.promotion.ledger import alias_version, find_version
from paddle_int8.tasks.promotion.lookup import fetch_bundle
from paddle_int8.tasks.promotion.renaming import require_not_renamed
from paddle_int8.tasks.store.folder import folder_digest
from paddle_int8.tasks.tracking.connection import connection


def export_bundle(tracking_uri: str, name: str, folder: Path, *, version: int | None, alias: str) -> Bundle:
    """Writes the bundle to the new folder `folder`, whole or not at all.

    The bundle is that of `version` or, when it is None, of the version that `alias` points at.
    Raises: RegistryError when there is no such version, or its files changed since they were registered;
    StorageError when `folder` exists or cannot be written.
    """
    if folder.exists():
        raise StorageError(
            found=f"{folder} exists", required="a new folder", remedy="name another, or move it away"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            TemporaryDirectory(prefix=".paddle-int8-", dir=folder.parent) as scratch,
            connection(tracking_uri) as client,
        ):
            wanted = str(version) if version is not None else alias_version(client, name, alias)
            found = find_version(client, name, wanted) if wanted else None
            if found is None:
                require_not_renamed(client, name)
                raise _missing(name, version, alias)
            bundle = fetch_bundle(client, tracking_uri, found, Path(scratch) / "bundle")
            digest = folder_digest(bundle)
            if digest != found.tags.get("bundle_digest"):
                raise _changed(name, str(found.version), digest)
            bundle.rename(folder)
    except OSError as error:
        raise storage_error(error, folder.parent) from error
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Bundle(folder=StoredPath(folder), digest=digest, size_bytes=size)


def _missing(name: str, version: int | None, alias: str) -> RegistryError:
    return RegistryError(
        found=f"no {f'version {version}' if version is not None else f'alias {alias}'} of {name}",
        required="a registered version",
        remedy="promote one first, or name another with --version or --alias, such as `challenger`",
    )


def _changed(name: str, version: str, digest: str) -> RegistryError:
    return RegistryError(
        found=f"files of version {version} of {name} with digest {digest[:12]}",
        required="the files that the release registered",
        remedy="they changed in the registry: export another version, and release again",
    )
