"""What is taken of a package's inside, and the check that it is still there.

A package may change what is not public in any release. Then the code that relies on it fails somewhere else,
or does not fail at all: a method that a subclass replaces is no longer called. So each adapter lists what it
takes, and looks for it before its first use.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import CodeType

from paddle_int8.tasks.contracts.errors import InstallationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrowed:
    """What `adapter` takes of `package`.

    release: the versions that were tested, `2.6.2` or a series such as `3.8`.
    names: attributes by owner, which is `package.module` or `package.module:Class`.
    fields: names in the code of a function or of a class's methods, by function or class: attributes that
        objects are given when they are made, and names that code looks for.
    """

    package: str
    release: str
    adapter: str
    names: Mapping[str, tuple[str, ...]]
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def require(self) -> None:
        """Requires the tested package. Raises: InstallationError for another version, or a missing name."""
        found = _version(self.package)
        if f"{found}.".startswith(f"{self.release}."):
            if not (missing := list(self._missing())):
                return
            found += f" without {', '.join(missing)}"
        raise InstallationError(
            found=f"{self.package} {found}",
            required=f"{self.package} {self.release}, with which {self.adapter} was tested",
            remedy=f"install the versions of requirements/release.lock; to upgrade {self.package}, follow "
            f"docs/upgrading.md and correct {self.adapter}",
        )

    def _missing(self) -> Iterator[str]:
        for path, names in self.names.items():
            owner = _owner(path)
            has = owner.__contains__ if isinstance(owner, Mapping) else partial(hasattr, owner)
            yield from (f"{path}.{name}" for name in names if not has(name))
        for path, names in self.fields.items():
            used = _used(_owner(path))
            yield from (f"{name} in {path}" for name in names if name not in used)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "that is not installed"


def _owner(path: str) -> object:
    """The module or class of a path; None where it does not exist, so that it lacks every name."""
    module, _, attributes = path.partition(":")
    try:
        owner: object = import_module(module)
    except ImportError:
        return None
    for name in filter(None, attributes.split(".")):
        owner = getattr(owner, name, None)
    return owner


def _used(owner: object) -> set[str]:
    """Attributes and texts in the code of a function, or of all methods of a class, its bases' included."""
    members = [owner] if inspect.isfunction(owner) else [each for _, each in inspect.getmembers(owner)]
    functions = [inspect.unwrap(each) for each in members if callable(each)]
    return {name for each in functions if inspect.isfunction(each) for name in _in_code(each.__code__)}


def _in_code(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _in_code(constant)
        elif isinstance(constant, str):
            yield constant
