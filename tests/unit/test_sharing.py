"""Two hosts with separate disks share artifacts through a shared store."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import Bundle
from paddle_int8.tasks.contracts.errors import StorageError
from paddle_int8.tasks.contracts.stored_path import PORTABLE, StoredPath
from paddle_int8.tasks.store.folder import commit, folder_digest, scratch
from paddle_int8.tasks.store.sharing import fetch, publish

BUNDLE = TypeAdapter(Bundle)
Host = Callable[[str], None]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Makes this process the host of that name."""
    monkeypatch.setenv("PADDLE_INT8_SHARED_STORE", (tmp_path / "shared").as_uri())
    return lambda name: monkeypatch.setenv("PADDLE_INT8_HOME", str(tmp_path / name))


def _bundle() -> Bundle:
    store = Settings().store
    with scratch(store, "test") as folder:
        (folder / "model").mkdir()
        (folder / "model" / "weights").write_bytes(b"weights")
        digest = folder_digest(folder)
        return Bundle(folder=commit(folder, store, "bundles", digest), digest=digest, size_bytes=7)


def _sent(bundle: Bundle) -> bytes:
    return BUNDLE.dump_json(bundle, context=PORTABLE)


def test_artifact_published_by_one_host_is_fetched_whole_by_another(host: Host) -> None:
    host("one")
    bundle = _bundle()
    publish(bundle)
    sent = _sent(bundle)
    host("two")
    received = BUNDLE.validate_json(sent, context=PORTABLE)
    assert not received.folder.exists()
    fetch({"bundles": (received,)})
    assert folder_digest(received.folder) == bundle.digest
    assert received.folder != bundle.folder


def test_artifact_already_shared_is_not_uploaded_again(host: Host, tmp_path: Path) -> None:
    host("one")
    bundle = _bundle()
    publish(bundle)
    (shared,) = (tmp_path / "shared" / "bundles").iterdir()
    before = shared.stat().st_mtime_ns
    publish(bundle)
    assert shared.stat().st_mtime_ns == before


def test_artifact_that_is_nowhere_names_the_setting(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host("one")
    sent = _sent(_bundle())
    host("two")
    monkeypatch.delenv("PADDLE_INT8_SHARED_STORE")
    with pytest.raises(StorageError, match="PADDLE_INT8_SHARED_STORE"):
        fetch(BUNDLE.validate_json(sent, context=PORTABLE))


def test_shared_store_that_cannot_be_reached_is_a_storage_error(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host("one")
    bundle = _bundle()
    monkeypatch.setenv("PADDLE_INT8_SHARED_STORE", "no-such-protocol://bucket")
    with pytest.raises(StorageError, match="no-such-protocol"):
        publish(bundle)


def _link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(tarfile.TarInfo("../../../escaped"), id="parent folders"),
        pytest.param(_link("link", "../../../../escaped"), id="symbolic link outside"),
        pytest.param(_link("link", "/etc/passwd"), id="symbolic link to an absolute path"),
    ],
)
def test_archive_that_reaches_outside_its_folder_is_refused_and_leaves_nothing(
    host: Host, tmp_path: Path, member: tarfile.TarInfo
) -> None:
    host("one")
    artifact = StoredPath(Settings().store / "bundles" / "abc")
    path = tmp_path / "shared" / "bundles" / "abc.tar"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w") as archive:
        archive.addfile(member, io.BytesIO())
    with pytest.raises(StorageError, match="its own folder"):
        fetch(artifact)
    assert not artifact.exists()
    assert not list(tmp_path.rglob("escaped"))
