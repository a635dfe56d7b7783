"""Looks for the files that a list names. Each folder is read once, however many files the list has in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.data.pictures.picture_file import picture_suffixes

QUOTES = ('"', "'")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPath:
    r"""A file of a list: its `name` as it was understood, and its absolute `path`.

    there: whether the file exists.
    inside: whether it lies below the root.
    turned: whether each `\` in the name was read as `/`.
    """

    name: str
    path: str
    there: bool
    inside: bool
    turned: bool


class Places:
    """Finds the files below `root` that a list names."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.normpath(root.absolute()).rstrip(os.sep)
        self._suffixes = picture_suffixes()
        self._folders: dict[str, frozenset[str] | None] = {}

    def find(self, name: str) -> ListedPath | None:
        r"""The existing file that `name` means: as it stands, without quotes, or with `/` for `\`."""
        if self._is_file(path := self._path(name)):
            return self._listed(name, path)
        if not name.startswith(QUOTES) and "\\" not in name:
            return None
        bare = _bare(name)
        for spelling in (bare, bare.replace("\\", "/")):
            if self._is_file(path := self._path(spelling)):
                return self._listed(spelling, path, turned=spelling != bare)
        return None

    def missing(self, name: str) -> ListedPath:
        """The path that `name` means when there is no such file."""
        return self._listed(_bare(name), self._path(_bare(name)), there=False)

    def named(self, name: str) -> bool:
        """Whether a name has the suffix of an image."""
        return Path(name.strip("\"'")).suffix.lower() in self._suffixes

    def _path(self, name: str) -> str:
        return os.path.normpath(name if name.startswith(os.sep) else f"{self._root}{os.sep}{name}")

    def _listed(self, name: str, path: str, *, there: bool = True, turned: bool = False) -> ListedPath:
        inside = path.startswith(self._root + os.sep)
        return ListedPath(name=name, path=path, there=there, inside=inside, turned=turned)

    def _is_file(self, path: str) -> bool:
        folder, _, name = path.rpartition(os.sep)
        if folder not in self._folders:
            self._folders[folder] = _files(folder)
        names = self._folders[folder]
        return Path(path).is_file() if names is None else name in names


def _bare(name: str) -> str:
    return name[1:-1].strip() if name.startswith(QUOTES) and name[-1:] == name[:1] else name


def _files(folder: str) -> frozenset[str] | None:
    """The names of the files in a folder; None when the folder may be entered but not listed."""
    try:
        with os.scandir(folder or os.sep) as listing:
            return frozenset(entry.name for entry in listing if entry.is_file())
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError when the name has a NUL byte
        return frozenset()
    except OSError:
        return None
