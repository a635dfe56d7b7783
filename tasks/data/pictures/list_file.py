"""Reads a list of images: each line names a file, with or without the number of its class.

Lists come from many tools, so each line is compared with the disk: the part that names an existing file is
the file, and the rest of the line is its label. A label that cannot be a class number is never guessed at:
the line is refused with its number and with how it was understood.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path

from paddle_int8.tasks.config.text_encoding import EncodingError, decoded
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data.pictures.image_files import ImageFiles, require_files
from paddle_int8.tasks.data.pictures.labels import CLASS_NUMBER, wrong_label
from paddle_int8.tasks.data.pictures.listed_paths import ListedPath, Places

TAB = re.compile(r"\s*\t\s*")
GAP = re.compile(r"[\s,;]+")
"""What separates file and label. A line with a tab is divided only at tabs, so its names may have blanks."""
COLUMNS = 20
"""How many gaps of a line are tried when its file stands neither first nor last."""
END_OF_LINE = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to understand a line. `label_first` says that the label stands before the file."""

    number: int
    text: str
    file: ListedPath
    label: str
    label_first: bool

    @property
    def fits(self) -> bool:
        """Whether there is no label, or the label is one class number."""
        return not self.label or CLASS_NUMBER.fullmatch(self.label) is not None


def listed_images(root: Path, list_file: Path) -> ImageFiles:
    """The images that a list names, in its order, each of them once.

    Raises: DataError, with the line, when the list cannot be read or understood, or when files are missing.
    """
    left_out: dict[str, list[str]] = defaultdict(list)
    lines = _without_header(list(_readings(root, list_file, left_out)), left_out)
    labelled = _labels_checked(lines, list_file)
    _require_inside(lines, root, list_file)
    missing = [f"{line.file.path:.300} (line {line.number})" for line in lines if not line.file.there]
    hint = _where_they_are(lines, root, list_file) if missing else ""
    require_files(missing, len(lines), str(list_file), hint)
    once = _each_once(lines, list_file, left_out)
    return ImageFiles(
        files=[Path(line.file.path) for line in once],
        labels=[int(line.label) for line in once] if labelled else None,
        left_out=left_out,
        notes=_notes(once),
    )


def _readings(root: Path, list_file: Path, left_out: dict[str, list[str]]) -> Iterator[Reading]:
    """How each line is understood; empty lines and comments are skipped."""
    places = Places(root)
    try:
        lines = END_OF_LINE.split(decoded(list_file.read_bytes()))
    except EncodingError as error:
        raise _refused(f"{list_file} is {error.found}", "UTF-8 text", error.remedy) from error
    except OSError as error:
        raise _refused(
            f"{list_file}: {error.strerror}", "a readable list file", "correct `list_file`"
        ) from error
    for number, line in enumerate(lines, start=1):
        if text := line.strip():
            reading = _understood(number, text, places, list_file)
            named_so = reading.file.there and text.startswith(reading.file.name)
            if text.startswith("#") and not named_so:
                left_out["comment lines"].append(f"line {number}")
            else:
                yield reading


def _understood(number: int, text: str, places: Places, list_file: Path) -> Reading:
    """The only reading of a line whose file exists; if there is none, the most likely reading."""
    there = list(_possible(number, text, places))
    fitting = [reading for reading in there if reading.fits]
    if len(fitting) > 1:
        ways = " or ".join(f"file {each.file.name}, label {each.label or 'none'}" for each in fitting)
        raise _refused(
            f"line {number} of {list_file}: {text!r:.200}, of which several files are there: {ways}",
            "lines with one meaning",
            "write a tab between file and label in every line",
        )
    return next(chain(fitting, there, _between(number, text, places), _likely(number, text, places)))


def _possible(number: int, text: str, places: Places) -> Iterator[Reading]:
    """Every division of the line into an existing file and a label, the longest file name first."""
    gaps = list((TAB if "\t" in text else GAP).finditer(text))
    heads = [(text, "", False)] + [(text[: gap.start()], text[gap.end() :], False) for gap in reversed(gaps)]
    tails = [(text[gap.end() :], text[: gap.start()], True) for gap in gaps]
    for name, label, first in heads + tails:
        if file := places.find(name):
            yield Reading(number=number, text=text, file=file, label=_plain(label), label_first=first)


def _between(number: int, text: str, places: Places) -> Iterator[Reading]:
    """Readings in which the file stands between other columns, such as an index and a label."""
    gaps = list((TAB if "\t" in text else GAP).finditer(text))[:COLUMNS]
    for before, behind in combinations(gaps, 2):
        if file := places.find(text[before.end() : behind.start()]):
            label = f"{text[: before.start()]} {text[behind.end() :]}"
            yield Reading(number=number, text=text, file=file, label=label, label_first=False)


def _likely(number: int, text: str, places: Places) -> Iterator[Reading]:
    """Likely readings of a line whose file does not exist.

    The line is divided after the first text that looks like an image's name, or else at the last gap.
    """
    gaps = list((TAB if "\t" in text else GAP).finditer(text))
    divisions = [(text[: gap.start()], text[gap.end() :]) for gap in gaps]
    first = bool(gaps) and bool(CLASS_NUMBER.fullmatch(divisions[0][0])) and places.named(divisions[0][1])
    if first:
        label, name = divisions[0]
    elif named := [each for each in divisions if places.named(each[0])]:
        name, label = named[0]
    else:
        name, label = divisions[-1] if gaps and not places.named(text) else (text, "")
    file = places.missing(name)
    yield Reading(number=number, text=text, file=file, label=_plain(label), label_first=first)


def _plain(label: str) -> str:
    """A label without its quotes, and without separators of empty columns after it."""
    return label.rstrip(",; \t").strip("\"'")


def _without_header(lines: list[Reading], left_out: dict[str, list[str]]) -> list[Reading]:
    """The lines without a header such as `path,label`: its file does not exist, its label is no number."""
    if len(lines) > 1 and lines[1].file.there:
        first = lines[0]
        is_name = Path(first.file.name).suffix or CLASS_NUMBER.fullmatch(first.label)
        if not first.file.there and not is_name:
            left_out["header lines"].append(f"line {first.number} ({first.text!r:.40})")
            return lines[1:]
    return lines


def _labels_checked(lines: Sequence[Reading], list_file: Path) -> bool:
    """Whether the lines have class numbers.

    Raises: DataError when only some lines have one, or a label is something else.
    """
    wrong = [(line, label) for line in lines if line.label and (label := wrong_label(line.label))]
    if wrong:
        line, label = wrong[0]
        raise _refused(
            f"{_described(line, list_file)}, which is {label.what}"
            + (f"; {len(wrong)} of {len(lines)} lines have no class number" if len(wrong) > 1 else ""),
            "`relative/path label` with one class number from 0, or `relative/path` alone, in every line",
            label.remedy,
        )
    labelled = [bool(line.label) for line in lines]
    if any(labelled) and not all(labelled):
        line = lines[labelled.index(False)]
        raise _refused(
            f"{labelled.count(False)} of {len(labelled)} lines of {list_file} have no label; "
            f"the first is line {line.number}: {line.text!r:.200}",
            "a label on every line, or on none",
            "complete the list file",
        )
    orders = {line.label_first for line in lines if line.label}
    if len(orders) > 1:
        line = next(line for line in lines if line.label_first != lines[0].label_first)
        raise _refused(
            f"{_described(line, list_file)}: the label stands {'first' if line.label_first else 'last'}, in "
            f"line {lines[0].number} {'last' if line.label_first else 'first'}",
            "the same order in every line",
            "write `relative/path label` in every line",
        )
    return any(labelled)


def _require_inside(lines: Sequence[Reading], root: Path, list_file: Path) -> None:
    outside = [line for line in lines if not line.file.inside]
    if outside:
        folders = [root.absolute(), *(Path(line.file.path).parent for line in lines)]
        above = os.path.commonpath(folders)
        raise _refused(
            f"{_described(outside[0], list_file)}: {outside[0].file.path} is outside of `root`, {root}"
            + (f"; so are {len(outside)} of {len(lines)} files" if len(outside) > 1 else ""),
            "files below `root`",
            f"set `root` to a folder above them all, such as {above}, with paths relative to it or absolute",
        )


def _where_they_are(lines: Sequence[Reading], root: Path, list_file: Path) -> str:
    """The remedy for missing files. It names another root when the first of the files exists below that."""
    name = next(line.file.name for line in lines if not line.file.there)
    for other in (list_file.parent, *list(root.parents)[:3]):
        if other != root and Places(other).find(name):
            return f"set `root` to {other}, below which {name} is there"
    return f"correct `root`, which is {root}, or the paths in {list_file}"


def _each_once(lines: Sequence[Reading], list_file: Path, left_out: dict[str, list[str]]) -> list[Reading]:
    """The lines without those that repeat a file. Raises: DataError when the repeated labels differ."""
    seen: dict[str, Reading] = {}
    for line in lines:
        first = seen.setdefault(line.file.path, line)
        if first.label != line.label:
            raise _refused(
                f"{list_file} names {line.file.name} in line {first.number} with label {first.label} and in "
                f"line {line.number} with label {line.label}",
                "one label a picture",
                "take one of the two lines out",
            )
        if first is not line:
            left_out["lines that repeat a file"].append(f"line {line.number}")
    return list(seen.values())


def _notes(lines: Sequence[Reading]) -> tuple[str, ...]:
    notes = []
    if lines and lines[0].label_first:
        notes.append(f"the label stands first, as in line {lines[0].number}: {lines[0].text!r:.80}")
    if turned := sum(line.file.turned for line in lines):
        notes.append(rf"{turned} paths are written with `\`, and were read with `/`")
    return tuple(notes)


def _described(line: Reading, list_file: Path) -> str:
    absent = "" if line.file.there else ", which is not there,"
    label = f"label {line.label!r:.80}" if line.label else "no label"
    return (
        f"line {line.number} of {list_file}: {line.text!r:.200}, understood as file {line.file.name}{absent} "
        f"and {label}"
    )


def _refused(found: str, required: str, remedy: str) -> DataError:
    return DataError(found=found, required=required, remedy=remedy)
