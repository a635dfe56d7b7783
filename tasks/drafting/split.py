"""Splits samples into those that calibrate and those that validate, in files beside the configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.pictures.class_folders import images_by_folder
from paddle_int8.tasks.data.pictures.image_files import ImageFiles
from paddle_int8.tasks.data.pictures.list_file import listed_images
from paddle_int8.tasks.data.sampling import Indices, draw
from paddle_int8.tasks.data.sources.idx import read_idx
from paddle_int8.tasks.drafting.sources import Data, Found, Source, calibration_samples, unknown

SEED = 0
PARTS = ("calibration", "validation")


def parted(data: Data, stem: Path, order: Mapping[int, int] | None = None) -> Data:
    """The data in two parts. Those of one whole are split, into files whose paths begin with `stem`.

    order: the class that a label becomes; None leaves the labels.
    Raises: DataError when there are fewer than two samples.
    """
    if data.calibration is not None:
        return data
    whole = data.validation
    if whole.samples < 2:
        raise unknown(_path(whole), "a single sample, where one part calibrates and another validates")
    match whole.kind:
        case "image_folder":
            return _lists(whole, stem, order)
        case "tagged_text":
            return _lines(whole)
        case _:
            return _archives(whole, stem)


def _path(found: Found) -> Path:
    return next(value for value in found.source.values() if isinstance(value, Path))


def images_of(found: Found) -> ImageFiles:
    """The pictures that a found list or folder names."""
    root = found.path("root")
    return (
        listed_images(root, found.path("list_file"))
        if "list_file" in found.source
        else images_by_folder(root)
    )


def _lists(whole: Found, stem: Path, order: Mapping[int, int] | None) -> Data:
    images, root = images_of(whole), whole.path("root")
    labels = None if images.labels is None else np.array(images.labels, dtype=np.int64)
    if labels is not None and order is not None:
        labels = np.array([order[label] for label in labels.tolist()], dtype=np.int64)
    parts = []
    for name, rows in zip(PARTS, _rows(labels, len(images.files)), strict=True):
        path = stem.with_name(f"{stem.name}-{name}.txt")
        lines = [_line(images.files[row], root, None if labels is None else int(labels[row])) for row in rows]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        source: Source = {"kind": "image_folder", "root": root, "list_file": path.resolve()}
        parts.append(replace(whole, source=source, samples=len(rows), class_names=()))
    return Data(calibration=parts[0], validation=parts[1])


def _line(file: Path, root: Path, label: int | None) -> str:
    relative = os.path.relpath(file, root)
    if any(sign in relative for sign in "\t\n\r"):
        raise DataError(
            found=f"a line break or a tab in the name {relative!r}",
            required="names that a line of a list can hold",
            remedy="rename the file",
        )
    return relative if label is None else f"{relative}\t{label}"


def _archives(whole: Found, stem: Path) -> Data:
    """Two `.npz` archives of what an archive or a pair of IDX files holds."""
    arrays, labels = _arrays(whole)
    parts = []
    for name, rows in zip(PARTS, _rows(arrays.get(labels), whole.samples), strict=True):
        path = stem.with_name(f"{stem.name}-{name}.npz")
        np.savez(path, **{key: values[rows] for key, values in arrays.items()})
        source: Source = {"kind": "npz", "path": path.resolve()}
        if labels != "labels":
            source |= {"labels": labels}
        parts.append(replace(whole, source=source, samples=len(rows)))
    return Data(calibration=parts[0], validation=parts[1])


def _arrays(whole: Found) -> tuple[dict[str, Array], str]:
    """All arrays by name, and the name of the labels among them."""
    if whole.kind == "idx":
        arrays: dict[str, Array] = {"image": read_idx(whole.path("images"))}
        if "labels" in whole.source:
            arrays["labels"] = read_idx(whole.path("labels"))
        return arrays, "labels"
    with np.load(whole.path("path"), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}, str(whole.source.get("labels", "labels"))


def _lines(whole: Found) -> Data:
    """The first lines of a corpus calibrate."""
    with whole.path("corpus").open(encoding="utf-8") as stream:
        there = [number for number, line in enumerate(stream, start=1) if line.strip()]
    count = calibration_samples(whole.samples)
    last = there[count - 1]
    return Data(
        calibration=replace(whole, source={**whole.source, "last_line": last}, samples=count),
        validation=replace(
            whole, source={**whole.source, "first_line": last + 1}, samples=whole.samples - count
        ),
    )


def _rows(labels: Array | None, total: int) -> Sequence[Indices]:
    """The rows that calibrate, each class in proportion, and the others."""
    flat = labels if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu" else None
    chosen = draw(flat, total=total, count=calibration_samples(total), seed=SEED)
    return chosen, np.setdiff1d(np.arange(total), chosen)
