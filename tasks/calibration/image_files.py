"""Which files an image folder holds, and their labels."""

from __future__ import annotations

import re
from pathlib import Path

from tasks.errors import DataError

PICTURES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"))
LABELLED_LINE = re.compile(r"(?P<name>.*\S)\s+(?P<label>-?[0-9]{1,18})")


def listed_images(root: Path, list_file: Path) -> list[tuple[Path, int | None]]:
    """(file, label) of each line; names may hold spaces, and a space or tab comes before the label."""
    try:
        lines = list_file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            found=f"{list_file}: {error}", required="a readable list file", remedy="correct `list_file`"
        ) from error
    entries: list[tuple[Path, int | None]] = []
    for number, line in enumerate(lines, start=1):
        if not (text := line.strip()):
            continue
        if labelled := LABELLED_LINE.fullmatch(text):
            entries.append((root / labelled["name"], int(labelled["label"])))
        elif Path(text).suffix.lower() in PICTURES:
            entries.append((root / text, None))
        else:
            raise DataError(
                found=f"line {number} of {list_file}: {line!r:.120}",
                required="`relative/path label` or `relative/path`",
                remedy="correct the line; labels are whole numbers from 0",
            )
    return entries


def images_by_folder(root: Path) -> list[tuple[Path, int | None]]:
    """(file, label). Hidden folders, such as a notebook's checkpoints, would shift every label."""
    try:
        visible = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(
            found=f"{root}: {error}", required="a readable folder", remedy="correct its permissions"
        ) from error
    classes = [path for path in visible if path.is_dir()]
    loose = [path for path in visible if path.suffix.lower() in PICTURES and path not in classes]
    if not classes:
        return [(path, None) for path in loose]
    if loose:
        raise DataError(
            found=f"{len(loose)} images beside the class folders of {root}, such as {loose[0].name}",
            required="`root/<class>/` folders, or images alone",
            remedy="move them into their classes, or name all images in a `list_file`",
        )
    return [
        (path, label)
        for label, folder in enumerate(classes)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in PICTURES and not path.name.startswith(".")
    ]
