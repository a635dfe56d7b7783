"""The defects of the published path, a section each: from defects.yaml and the docstrings of the repairs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "docs" / "explanation" / "defects.yaml"
NOT_OF_THE_DEFECT = re.compile(r"^(Returns|Raises)[ :].*?(?=^\w|\Z)", re.MULTILINE | re.DOTALL)


def defects(_name: str) -> str:
    return "\n\n".join(text for group in groups() for text in _group(group))


@cache
def groups() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return loaded


def docstring(place: str) -> str:
    """What the code at `place`, `file:name` below tasks/, says of itself; "" for a whole file.

    The file is parsed, not imported: most of these load Paddle.
    Raises: LookupError when the file has no such function or class, or it has no docstring.
    """
    file, _, name = place.partition(":")
    tree = ast.parse((ROOT / "tasks" / file).read_text(encoding="utf-8"))
    if not name:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return ast.get_docstring(node) or _missing(place)
    return _missing(place)


def _missing(place: str) -> str:
    raise LookupError(f"no function or class with a docstring at {place}, which {SOURCE.name} names")


def _group(group: dict[str, Any]) -> Iterator[str]:
    yield f"## {group['group']}"
    yield from map(_section, group["entries"])


def _section(defect: dict[str, Any]) -> str:
    parts = [
        f"### {defect['title']}",
        f"**What is wrong.** {defect['wrong']}",
        f"**What it did.** {defect['did']}",
    ]
    if own := defect.get("repair"):
        parts.append(f"**Repair.** {own}")
    for place in defect["code"]:
        file, _, name = place.partition(":")
        where = f"`tasks/{file}`"
        said = NOT_OF_THE_DEFECT.sub("", docstring(place)).strip()
        parts.append(
            f"**`{name}`** in {where}: {said}"
            if name and not own
            else f"**Where.** {where}" + (f", `{name}`" if name else "")
        )
    return "\n\n".join(parts)
