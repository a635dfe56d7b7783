"""What a configuration may name: the records of every registry of tasks/."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import paddle_int8.tasks
from docs.generate.schema import table
from paddle_int8.tasks.config.registry import Registry


def records(_name: str) -> str:
    """A section a registry, with the name and the description of each of its records."""
    return "\n\n".join(map(_section, sorted(registries(), key=lambda each: each.noun)))


def registries() -> Iterator[Registry[Any]]:
    """The registries that stand in the `__init__` of a package below tasks/."""
    packages = pkgutil.walk_packages(paddle_int8.tasks.__path__, "paddle_int8.tasks.")
    for package in (each for each in packages if each.ispkg):
        for value in vars(import_module(package.name)).values():
            if isinstance(value, Registry) and value.package == package.name:
                yield value


def _section(registry: Registry[Any]) -> str:
    rows = [(f"`{record.name}`", getattr(record, "description", "")) for record in registry]
    group = f"Entry-point group `{registry.group}`."
    return f"## {registry.noun.capitalize()}\n\n{group}\n\n{table(('name', ''), rows)}"
