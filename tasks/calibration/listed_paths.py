"""The files that a list names, looked for on the disk; each folder is listed once, however many files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tasks.calibration.picture_file import picture_suffixes


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPath:
    r"""`name` as it was understood, `path` absolute. `turned`: `\` was read as `/`."""

    name: str
    path: str
    there: bool
    inside: bool
    turned: bool


class Places:
    """Finds files below `root`, as a list names them."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.normpath(root.absolute()).rstrip(os.sep)
        self._suffixes = picture_suffixes()
        self._folders: dict[str, frozenset[str] | None] = {}

    def find(self, name: str) -> ListedPath:
        r"""The file that `name` means, there or not: as written, without quotes, or with `\` read as `/`."""
        bare = name[1:-1].strip() if name[:1] in ("'", '"') and name[-1:] == name[:1] else name
        spellings = dict.fromkeys((name, bare, bare.replace("\\", "/")))
        for spelling in spellings:
            if self._is_file(path := self._path(spelling)):
                return self._found(spelling, path, there=True, turned="\\" in bare and spelling != bare)
        return self._found(bare, self._path(bare), there=False, turned=False)

    def named(self, name: str) -> bool:
        """Whether a name ends as a picture's does."""
        return Path(name.strip("\"'")).suffix.lower() in self._suffixes

    def _path(self, name: str) -> str:
        return os.path.normpath(name if name.startswith(os.sep) else f"{self._root}{os.sep}{name}")

    def _found(self, name: str, path: str, *, there: bool, turned: bool) -> ListedPath:
        inside = path.startswith(self._root + os.sep)
        return ListedPath(name=name, path=path, there=there, inside=inside, turned=turned)

    def _is_file(self, path: str) -> bool:
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = _files(folder)
        names = self._folders[folder]
        return Path(path).is_file() if names is None else name in names


def _files(folder: str) -> frozenset[str] | None:
    """The names of the files in a folder; None when it may be entered but not listed."""
    try:
        with os.scandir(folder) as listing:
            return frozenset(entry.name for entry in listing if entry.is_file())
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        return frozenset()
    except OSError:
        return None
