"""The rooms of tasks/ in their order, from the layers that import-linter proves."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

from docs.generate.schema import table

ROOT = Path(__file__).parents[2]
CONTAINER = "paddle_int8.tasks"


def rooms(_name: str) -> str:
    """A row for each layer, the highest first."""
    layers = (layer.split(" : ") for layer in reversed(_layers()))
    rows = [
        (str(height), f"`{room}`", _purpose(room)) for height, layer in enumerate(layers, 1) for room in layer
    ]
    return table(("floor", "room", "what it is for"), reversed(rows))


def _layers() -> list[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts: list[dict[str, Any]] = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return next(list(each["layers"]) for each in contracts if CONTAINER in each.get("containers", ()))


def _purpose(room: str) -> str:
    """The first sentence of the package's docstring."""
    source = (ROOT / "tasks" / room / "__init__.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0]
