"""Recognises the data that `init` is given: class folders, lists, archives, arrays, IDX files, texts."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.data.pictures.class_folders import HELD_OUT, SYSTEM, TRAIN, images_by_folder
from paddle_int8.tasks.data.pictures.image_files import ImageFiles
from paddle_int8.tasks.data.pictures.list_file import listed_images
from paddle_int8.tasks.data.pictures.picture_file import picture_suffixes
from paddle_int8.tasks.data.sources.idx import read_idx
from paddle_int8.tasks.data.sources.npz import NpzSource
from paddle_int8.tasks.drafting.sources import Data, Found, Source, unknown
from paddle_int8.tasks.drafting.texts import is_tagged, tagged_text

CALIBRATING = ("calib", "train")
"""How the names of files begin or end that hold the samples to calibrate on."""
VALIDATING = ("val", "test", "eval", "t10k", "dev")
LISTS = frozenset({".txt", ".csv", ".tsv", ".lst", ".list"})
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
IDX_IMAGES, IDX_LABELS = ("idx3", "images"), ("idx1", "labels")


def recognised(path: Path) -> Data:
    """The samples at `path`. Raises: DataError when there are none, or it is not told which are meant."""
    if not path.exists():
        raise DataError(
            found=f"nothing at {path}", required="a folder or a file of samples", remedy="correct DATA"
        )
    return _file(path) if path.is_file() else _folder(path)


def is_archive(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(ARCHIVES)


def single(path: Path) -> Found:
    """The samples of a path that holds no parts of its own. Raises: DataError."""
    data = recognised(path)
    if data.calibration is not None:
        raise unknown(path, f"two parts, {data.calibration.words} and {data.validation.words}")
    return data.validation


def _file(path: Path) -> Data:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return Data(calibration=None, validation=_arrays(path))
    if _is_idx(path):
        return Data(calibration=None, validation=_idx(path))
    if suffix in picture_suffixes():
        raise unknown(path, "a single picture; give the folder that it is in")
    if suffix == ".npy":
        raise unknown(path, "one array without names; save it with `numpy.savez(file, image=…, labels=…)`")
    if is_tagged(path):
        return Data(calibration=None, validation=tagged_text(path))
    if suffix in LISTS or zipfile.is_zipfile(path) is False:
        return Data(calibration=None, validation=_list(path, path.parent))
    raise unknown(path, f"a {suffix or 'suffixless'} file")


def _folder(path: Path) -> Data:
    entries = [each for each in sorted(path.iterdir()) if not _hidden(each)]
    if not entries:
        raise unknown(path, "an empty folder")
    for look in (_splits, _idx_files, _npz_files, _lists, _texts):
        if found := look(path, entries):
            return found
    folders = [each for each in entries if each.is_dir()]
    if len(folders) == 1 and len(entries) == 1:
        return _folder(folders[0])
    return Data(calibration=None, validation=_pictures(path))


def _splits(path: Path, entries: Sequence[Path]) -> Data | None:
    """`train/` beside `val/` or `test/`, each with classes."""
    named = {each.name.lower(): each for each in entries if each.is_dir()}
    train = next((named[name] for name in named if name in TRAIN), None)
    held_out = sorted((name for name in named if name in HELD_OUT), key=("valid", "val").__contains__)
    if train is None or not held_out:
        return None
    chosen = next((name for name in ("val", "valid", "validation") if name in held_out), held_out[0])
    return Data(calibration=_pictures(train), validation=_pictures(named[chosen]))


def _idx_files(path: Path, entries: Sequence[Path]) -> Data | None:
    images = [each for each in entries if each.is_file() and _is_idx(each) and _names(each, IDX_IMAGES)]
    return _parted(images, _idx) if images else None


def _npz_files(path: Path, entries: Sequence[Path]) -> Data | None:
    archives = [each for each in entries if each.suffix.lower() == ".npz"]
    return _parted(archives, _arrays) if archives else None


def _lists(path: Path, entries: Sequence[Path]) -> Data | None:
    """Lists of pictures that lie in this folder or below it."""
    files = [each for each in entries if each.suffix.lower() in LISTS and each.is_file()]
    fitting = [each for each in files if _is_list(each, path)]
    return _parted(fitting, lambda each: _list(each, path)) if fitting else None


def _texts(path: Path, entries: Sequence[Path]) -> Data | None:
    corpora = [each for each in entries if each.is_file() and is_tagged(each)]
    return _parted(corpora, tagged_text) if corpora else None


def _parted(files: Sequence[Path], open_file: Callable[[Path], Found]) -> Data:
    """One file to be split, or the one that calibrates and the one that validates, by their names."""
    if len(files) == 1:
        return Data(calibration=None, validation=open_file(files[0]))
    calibrating = [each for each in files if _names(each, CALIBRATING)]
    validating = [each for each in files if _names(each, VALIDATING)]
    preferred = [each for each in validating if "val" in each.name.lower()] or validating
    if not (calibrating and preferred):
        names = ", ".join(each.name for each in files)
        raise unknown(
            files[0].parent,
            f"{names}, whose names do not tell which calibrates; give one of them as DATA, and the other "
            "with --validation",
        )
    return Data(calibration=open_file(calibrating[0]), validation=open_file(preferred[0]))


def _names(path: Path, beginnings: Sequence[str]) -> bool:
    return any(each in path.name.lower() for each in beginnings)


def _pictures(root: Path) -> Found:
    images = images_by_folder(root)
    if not images.files:
        raise unknown(root, _what_is_there(root, images))
    kind = f"{len(images.class_names)} class folders" if images.class_names else "pictures without labels"
    return Found(
        source={"kind": "image_folder", "root": root.resolve()},
        words=f"{kind}, {counted(len(images.files), 'picture')} in {root}",
        samples=len(images.files),
        labelled=images.labels is not None,
        class_names=images.class_names,
    )


def _what_is_there(root: Path, images: ImageFiles) -> str:
    if images.left_out:
        return "; ".join(images.said())
    suffixes = Counter(each.suffix or "folder" for each in root.iterdir())
    return "no picture; it holds " + ", ".join(f"{count} {name}" for name, count in suffixes.most_common(5))


def _is_list(path: Path, root: Path) -> bool:
    try:
        return bool(listed_images(root, path).files)
    except DataError:
        return False


def _list(path: Path, root: Path) -> Found:
    images = listed_images(root, path)
    if not images.files:
        raise unknown(path, "a list without a picture")
    labels = "" if images.labels is not None else " without labels"
    return Found(
        source={"kind": "image_folder", "root": root.resolve(), "list_file": path.resolve()},
        words=f"a list of {counted(len(images.files), 'picture')}{labels}, {path}",
        samples=len(images.files),
        labelled=images.labels is not None,
    )


def _arrays(path: Path) -> Found:
    try:
        with np.load(path, allow_pickle=False) as archive:
            shapes = {name: (archive[name].shape, archive[name].dtype) for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as failure:
        raise unknown(path, f"no .npz of plain arrays ({failure})") from failure
    counts = Counter(shape[0] for shape, _ in shapes.values() if shape)
    if not counts:
        raise unknown(path, "no array with samples")
    samples = counts.most_common(1)[0][0]
    flat = [name for name, (shape, dtype) in shapes.items() if shape == (samples,) and dtype.kind in "iu"]
    default = NpzSource.model_fields["labels"].default
    labels = default if default in flat else flat[0] if len(flat) == 1 and len(shapes) > 1 else None
    said = ", ".join(f"{name} {dtype} {list(shape)}" for name, (shape, dtype) in shapes.items())
    source: Source = {"kind": "npz", "path": path.resolve()}
    return Found(
        source=source if labels in (None, default) else source | {"labels": labels},
        words=f"arrays {said} in {path}",
        samples=samples,
        labelled=labels is not None,
    )


def _is_idx(path: Path) -> bool:
    with path.open("rb") as stream:
        beginning = stream.read(4)
    if beginning[:2] == b"\x1f\x8b":
        return ".idx" in path.name or "-idx" in path.name or "ubyte" in path.name
    return beginning[:3] in (b"\0\0\x08", b"\0\0\x0d") and beginning[3:4] in (b"\1", b"\2", b"\3", b"\4")


def _idx(path: Path) -> Found:
    images = read_idx(path)
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    there = labels != path and labels.is_file()
    source: Source = {"kind": "idx", "images": path.resolve()}
    return Found(
        source=source | {"labels": labels.resolve()} if there else source,
        words=f"IDX, {images.dtype} {list(images.shape)}{'' if there else ' without labels'} in {path}",
        samples=len(images),
        labelled=there,
    )


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in SYSTEM
