"""Artifacts that lead out of their folder, and files that would be unpickled, are refused."""

from __future__ import annotations

import pickle
from pathlib import Path, PurePosixPath

import pytest
from mlflow.entities import FileInfo
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.tracking.download import download, folders, is_pickle, repository


def everything(_name: PurePosixPath) -> bool:
    return True


def written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    (root / "model" / "deep").mkdir(parents=True)
    (root / "model" / "model.pdmodel").write_bytes(b"\x0aprogram")
    (root / "model" / "deep" / "notes.txt").write_text("notes")
    (root / "other.txt").write_text("other")
    return root


def test_download_copies_what_is_wanted_below_the_path(store: Path, tmp_path: Path) -> None:
    source = repository(store.as_uri(), "sqlite://")
    out = download(source, "model", tmp_path / "all", wanted=everything)
    assert written(out) == {"model.pdmodel", "deep/notes.txt"}
    some = download(source, "", tmp_path / "some", wanted=lambda name: name.suffix == ".txt")
    assert written(some) == {"model/deep/notes.txt", "other.txt"}
    assert folders(source, "") == ("model",)
    assert download(source, "absent", tmp_path / "none", wanted=everything) == tmp_path / "none"


class Lying(LocalArtifactRepository):
    """A store that lists one more name."""

    name: str

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        return [*super().list_artifacts(path), FileInfo(path=self.name, is_dir=False, file_size=1)]


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "model/../../secret",
        "/etc/hostname",
        "model/%2e%2e/%2e%2e/secret",
        "..\\secret",
        "a\0b",
        "",
    ],
)
def test_listed_name_that_leads_out_is_refused(store: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("secret")
    source = Lying(store.as_uri())
    source.name = name
    with pytest.raises(RegistryError, match="named within the artifacts"):
        download(source, "", tmp_path / "out" / "in", wanted=everything)
    assert written(tmp_path / "out") <= {"in/model/model.pdmodel", "in/model/deep/notes.txt", "in/other.txt"}


def test_name_outside_of_the_asked_folder_is_refused(store: Path, tmp_path: Path) -> None:
    source = Lying(store.as_uri())
    source.name = "other.txt"
    with pytest.raises(RegistryError, match="named within the artifacts"):
        download(source, "model", tmp_path / "out", wanted=everything)


@pytest.mark.parametrize("place", ["model/link", "linked"])
def test_link_out_of_the_artifacts_is_refused(store: Path, tmp_path: Path, place: str) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "key").write_text("secret")
    (store / place).symlink_to(secrets if place == "linked" else secrets / "key")
    with pytest.raises(RegistryError, match=r"a link out of the artifacts|outside the artifact directory"):
        download(repository(store.as_uri(), "sqlite://"), "", tmp_path / "out", wanted=everything)
    assert not [path for path in written(tmp_path / "out") if path.endswith(("key", "link"))]


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_under_an_innocent_name_is_refused_unopened(
    store: Path, tmp_path: Path, protocol: int
) -> None:
    (store / "model" / "model.pdiparams").write_bytes(pickle.dumps(Bomb(tmp_path / "gone off"), protocol))
    with pytest.raises(RegistryError, match="is a pickle"):
        download(repository(store.as_uri(), "sqlite://"), "model", tmp_path / "out", wanted=everything)
    assert not (tmp_path / "gone off").exists()


@pytest.mark.parametrize(
    ("name", "content", "pickled"),
    [
        ("python_model.pkl", b"anything", True),
        ("model.pdmodel", b"\x0a\x10", False),
        ("model.pdiparams", b"\0\0\0\0", False),
        ("empty", b"", False),
        ("text.txt", "\u0080".encode(), False),
    ],
)
def test_pickles_are_told_by_name_or_first_bytes(
    tmp_path: Path, name: str, content: bytes, pickled: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    assert is_pickle(tmp_path / name) is pickled


def test_store_that_cannot_be_reached_is_an_error_in_our_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    source = repository("http://me:hunter2@127.0.0.1:9/artifacts", "sqlite://")
    with pytest.raises(RegistryError, match="an artifact store that answers") as caught:
        download(source, "", tmp_path / "out", wanted=everything)
    assert "hunter2" not in str(caught.value)
