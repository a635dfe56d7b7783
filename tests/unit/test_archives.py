"""Archives: what is packed can be unpacked, and no member leaves the folder."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.errors import StorageError
from paddle_int8.tasks.store.archives import pack, unpack


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def archive_of(folder: Path, *members: tarfile.TarInfo) -> Path:
    path = folder / "made.tar"
    with tarfile.open(path, "w") as stream:
        for each in members:
            stream.addfile(each, io.BytesIO(b"x" * each.size))
    return path


def test_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep" / "deeper").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "deep" / "deeper" / "weights").write_bytes(bytes(range(256)) * 1000)
    os.link(source / "deep" / "deeper" / "weights", source / "same")
    pack(source, tmp_path / "packed.tar")
    target.mkdir()
    unpack(tmp_path / "packed.tar", target)
    assert sorted(path.relative_to(target).as_posix() for path in target.rglob("*")) == [
        "deep",
        "deep/deeper",
        "deep/deeper/weights",
        "empty",
        "same",
    ]
    assert (target / "same").read_bytes() == (source / "same").read_bytes()


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param([member("../escaped")], id="parent folder"),
        pytest.param([member("inside/../../escaped")], id="parent folder on the way"),
        pytest.param([member("/tmp/escaped")], id="absolute path"),
        pytest.param([member("link", tarfile.SYMTYPE, "..")], id="symbolic link"),
        pytest.param([member("link", tarfile.SYMTYPE, ".."), member("link/escaped")], id="through a link"),
        pytest.param([member("link", tarfile.LNKTYPE, "/etc/passwd")], id="hard link"),
        pytest.param([member("pipe", tarfile.FIFOTYPE)], id="named pipe"),
        pytest.param([member("device", tarfile.CHRTYPE)], id="device"),
    ],
)
def test_member_that_is_no_file_inside_is_refused(tmp_path: Path, attack: list[tarfile.TarInfo]) -> None:
    path, target = archive_of(tmp_path, *attack), tmp_path / "target"
    target.mkdir()
    with pytest.raises(StorageError, match="inside its own folder"):
        unpack(path, target)
    assert not list(tmp_path.rglob("escaped"))
    assert not list(target.iterdir())


@pytest.mark.parametrize("kept", [0.6, 0.3], ids=["in the second file", "in the first file"])
def test_archive_that_was_cut_off_is_a_storage_error(tmp_path: Path, kept: float) -> None:
    files = [member("first"), member("second")]
    for each in files:
        each.size = 20_000
    path, target = archive_of(tmp_path, *files), tmp_path / "target"
    path.write_bytes(path.read_bytes()[: int(40_000 * kept)])
    target.mkdir()
    with pytest.raises(StorageError, match=r"made\.tar"):
        unpack(path, target)
