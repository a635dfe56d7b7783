"""Finds images in class folders, `root/<class>/…`, and numbers the classes as training tools do."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.data.pictures.image_files import ImageFiles, require_files, some
from paddle_int8.tasks.data.pictures.picture_file import is_picture

TRAIN = frozenset({"train", "training"})
HELD_OUT = frozenset({"val", "valid", "validation", "dev", "eval", "test", "testing"})
SYSTEM = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found"})
HIDDEN = "hidden files and folders, and those of operating systems"
EDGE = 6
"""How many classes a note names from each end of their order."""

LeftOut = defaultdict[str, list[str]]


def images_by_folder(root: Path) -> ImageFiles:
    """Every image below `root`, labelled by the class folder that it is in.

    Classes are numbered in the order of the folders' names, sorted as text, as Paddle's DatasetFolder and
    torchvision do. Empty folders count. Hidden folders, such as a notebook's checkpoints, do not: they would
    shift every label. If `root` has no folders, the images in it are returned without labels.
    Raises: DataError when the folders are splits such as `train`, or when images lie beside class folders.
    """
    left_out: LeftOut = defaultdict(list)
    entries = list(_visible(root, root, left_out))
    classes = [entry.name for entry in entries if entry.is_dir()]
    loose, missing = _sorted_out([each for each in entries if not each.is_dir()], root, left_out)
    _refuse_splits(root, classes)
    if loose and classes:
        raise DataError(
            found=f"{counted(len(loose), 'image')} beside the class folders of {root}, such as {loose[0]}",
            required="`root/<class>/` folders, or images alone",
            remedy="move them into their classes, or name all images in a `list_file`",
        )
    files, labels, nested = loose, [], 0
    for number, name in enumerate(classes):
        found, gone = _below(root / name, root, left_out)
        files += found
        missing += gone
        labels += [number] * len(found)
        nested += sum(file.count(os.sep) > 1 for file in found)
    require_files(missing, len(files) + len(missing), str(root), "restore what these links point at")
    _refuse_one_level_too_high(root, classes, nested)
    return ImageFiles(
        files=[root / file for file in files],
        labels=labels if classes else None,
        class_names=tuple(classes),
        left_out=left_out,
        notes=_notes(classes, labels, nested) if classes else (),
    )


def _below(folder: Path, root: Path, left_out: LeftOut) -> tuple[list[str], list[str]]:
    """The images and the dangling links in a class folder and below it. Links to folders are followed."""
    pictures: list[str] = []
    missing: list[str] = []
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        state = here.stat()
        if (state.st_dev, state.st_ino) in seen:
            left_out["folders that a link leads to again"].append(str(here.relative_to(root)))
            continue
        seen.add((state.st_dev, state.st_ino))
        entries = list(_visible(here, root, left_out))
        waiting += [Path(entry.path) for entry in entries if entry.is_dir()]
        found, gone = _sorted_out([each for each in entries if not each.is_dir()], root, left_out)
        pictures += found
        missing += gone
    return sorted(pictures, key=lambda name: Path(name).parts), missing


def _visible(folder: Path, root: Path, left_out: LeftOut) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder that are not hidden, sorted by name."""
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            found=f"{folder}: {error.strerror}",
            required="a readable folder",
            remedy="correct its permissions",
        ) from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in SYSTEM:
            left_out[HIDDEN].append(_relative(entry, root))
        else:
            yield entry


def _sorted_out(
    entries: Sequence[os.DirEntry[str]], root: Path, left_out: LeftOut
) -> tuple[list[str], list[str]]:
    """The images and the dangling links among `entries`; everything else is left out."""
    pictures: list[str] = []
    missing: list[str] = []
    for entry in entries:
        name, suffix = _relative(entry, root), Path(entry.name).suffix.lower()
        if not entry.is_file():
            kind = missing if entry.is_symlink() else left_out["pipes and other special files"]
            kind.append(name)
        elif is_picture(Path(entry.path)):
            pictures.append(name)
        else:
            left_out[f"{suffix or 'suffixless'} files without a readable picture"].append(name)
    return pictures, missing


def _relative(entry: os.DirEntry[str], root: Path) -> str:
    return entry.path.removeprefix(f"{root}{os.sep}")


def _refuse_splits(root: Path, classes: Sequence[str]) -> None:
    """Refuses folders that are splits of a data set rather than classes.

    `train` may be a class among others. Alone, or beside `val` or `test`, it is a split.
    """
    names = {name.lower(): name for name in classes}
    splits = [name for lower, name in names.items() if lower in TRAIN | HELD_OUT]
    both = TRAIN & names.keys() and HELD_OUT & names.keys()
    if splits and (both or len(splits) == len(classes)):
        raise DataError(
            found=f"{root} holds the splits {some(splits)}, understood as classes",
            required="one folder a class in `root`",
            remedy=f"set `root` to one of them, such as {root / splits[0]}",
        )


def _refuse_one_level_too_high(root: Path, classes: Sequence[str], nested: int) -> None:
    if len(classes) == 1 and nested:
        raise DataError(
            found=f"{root} holds one class alone, {classes[0]}, whose pictures lie in folders below it",
            required="one folder a class in `root`",
            remedy=f"set `root` to {root / classes[0]} if the classes are there",
        )


def _notes(classes: Sequence[str], labels: Sequence[int], nested: int) -> tuple[str, ...]:
    numbered = [f"{number} {name}" for number, name in enumerate(classes)]
    if len(numbered) > 2 * EDGE:
        order = f"{', '.join(numbered[:EDGE])}, …, {', '.join(numbered[-EDGE:])}"
    else:
        order = ", ".join(numbered)
    notes = [f"{counted(len(classes), 'class', 'classes')} in the order of their folders' names: {order}"]
    taken = set(labels)
    if empty := [each for number, each in enumerate(numbered) if number not in taken]:
        notes.append(f"class folders without a picture, which keep their number: {some(empty)}")
    if all(map(str.isdecimal, classes)) and sorted(classes, key=int) != list(classes):
        moved = next(f"{name} is class {n}" for n, name in enumerate(classes) if int(name) != n)
        notes.append(f"class folders are sorted as text, not as numbers: folder {moved}")
    if nested:
        notes.append(f"{nested} pictures lie deeper than their class folder, and count for it")
    return tuple(notes)
