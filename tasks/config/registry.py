"""Finds a layout, an engine, an algorithm, a strategy, a source or a metric by its name.

This project has a folder for each of these kinds, in which every file holds one record under a fixed name. A
record that needs a folder of its own is in the file there that is named after its kind, such as
`engines/paddle/engine.py`. It is not in the folder's `__init__.py`, which is in the key of every module below
it. Any installed package can add records of its own through an entry-point group:

    [project.entry-points."paddle_int8.layouts"]
    my_layout = "my_package.my_layout:LAYOUT"

A flow run of a server loads an entry point only when `PADDLE_INT8_ALLOWED_CALLABLES` allows its module, as
it does with every function that a configuration names.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, cast

from paddle_int8.tasks.config.callables import require_allowed
from paddle_int8.tasks.config.choice import R, Record
from paddle_int8.tasks.contracts.errors import ConfigError

WIRING = "task"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry(Generic[R]):
    """All records of one kind.

    noun: what one record is called in messages, such as "layout".
    package: the package of this project whose modules hold one record each.
    constant: the name of the record in its module, such as `LAYOUT`.
    group: the entry-point group of other packages.
    first: names that are offered before the others, in this order.
    """

    noun: str
    package: str
    constant: str
    group: str
    first: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Every name that `find` knows: this project's first, then those of other packages, sorted."""
        theirs = (entry.name for entry in self._entries() if entry.name not in self._ours())
        return (*self._ours(), *sorted(theirs))

    def find(self, name: str) -> R:
        """The record of this name.

        Raises: ConfigError when there is none, when this worker does not allow its package, or when the
        record behind the entry point has another name than the entry point.
        """
        if (record := self._ours().get(name)) is not None:
            return record
        entry = self._entry(name)
        require_allowed(entry.value)
        loaded: R = entry.load()
        if loaded.name != name:
            raise ConfigError(
                found=f"the {self.noun} {loaded.name!r} behind the entry point {name!r} of {self.group}",
                required="a record of the entry point's own name",
                remedy=f"rename one of the two in the package of {entry.value}",
            )
        return loaded

    def module(self, name: str) -> str:
        """The module that holds the record of this name. Nothing of another package is imported.

        Raises: ConfigError when there is no such record.
        """
        ours = _records(self.package, self.constant)
        if name in ours:
            return ours[name][0]
        return self._entry(name).module

    def usable(self) -> Iterator[R]:
        """The records that this worker may load, and that are what their entry points say."""
        for name in self.names():
            with suppress(ConfigError):
                yield self.find(name)

    def __iter__(self) -> Iterator[R]:
        return map(self.find, self.names())

    def _ours(self) -> dict[str, R]:
        records = _records(self.package, self.constant)
        found = {name: cast("R", record) for name, (_, record) in records.items()}
        return {name: found[name] for name in (*self.first, *found) if name in found}

    def _entry(self, name: str) -> EntryPoint:
        entry = next((entry for entry in self._entries() if entry.name == name), None)
        if entry is None:
            raise self._unknown(name)
        return entry

    def _entries(self) -> tuple[EntryPoint, ...]:
        return _entry_points(self.group, tuple(sys.path))

    def _unknown(self, name: str) -> ConfigError:
        known = self.names()
        near = get_close_matches(name.lower(), {each.lower(): each for each in known}, n=1)
        meant = next((each for each in known if near and each.lower() == near[0]), None)
        return ConfigError(
            found=f"no {self.noun} named {name!r}",
            required=f"one of {', '.join(known)}",
            remedy=f"write {meant}" if meant else "correct the name, or install the package that brings it",
        )


@cache
def _records(package: str, constant: str) -> dict[str, tuple[str, Record]]:
    """The module and the record of each name, for the modules of `package` that hold one, in their order.

    A `task.py` is wiring: it loads Prefect and holds no record.
    """
    found = pkgutil.iter_modules(import_module(package).__path__)
    names = [
        f"{package}.{module.name}.{constant.lower()}" if module.ispkg else f"{package}.{module.name}"
        for module in found
        if module.name != WIRING
    ]
    loaded = [module for module in map(import_module, names) if hasattr(module, constant)]
    return {getattr(each, constant).name: (each.__name__, getattr(each, constant)) for each in loaded}


@cache
def _entry_points(group: str, _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The entry points of every installed package; they are searched once for each content of `sys.path`."""
    return tuple(entry_points(group=group))
