"""The defects of the published path, a section each: from defects.yaml and the docstrings of the repairs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "docs" / "explanation" / "defects.yaml"
REPAIRS = ROOT / "tasks" / "engines"
NOT_OF_THE_DEFECT = re.compile(
    r"^(?:(?:Returns|Raises)[ :]|[a-z]\w*: ).*?(?=^\w|\Z)", re.MULTILINE | re.DOTALL
)
"""The parts of a docstring that are not about the defect: its parameters, its result and its errors."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Where the code of a repair stands, below the project's folder, and what it says of itself."""

    file: str
    name: str = ""
    docstring: str = ""


def defects(_name: str) -> str:
    return "\n\n".join(text for group in groups() for text in _group(group))


@cache
def groups() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return loaded


def repair(code: str) -> Repair:
    """The function or class of the name `code`, or a whole file below tasks/.

    Raises: LookupError when there is no such file, or not exactly one function or class with a docstring.
    """
    if "/" in code:
        if not (ROOT / "tasks" / code).is_file():
            raise LookupError(f"no file tasks/{code}, which {SOURCE.name} names")
        return Repair(f"tasks/{code}")
    found = _repairs().get(code, ())
    if len(found) != 1:
        raise LookupError(
            f"{len(found)} functions or classes {code} with a docstring, named in {SOURCE.name}"
        )
    return found[0]


@cache
def _repairs() -> dict[str, list[Repair]]:
    """Every function and class at the top of a module, by name. Parsed, not imported: most load Paddle."""
    found: dict[str, list[Repair]] = {}
    for path in sorted(REPAIRS.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and (said := ast.get_docstring(node)):
                file = path.relative_to(ROOT).as_posix()
                found.setdefault(node.name, []).append(Repair(file, node.name, said))
    return found


def _group(group: dict[str, Any]) -> Iterator[str]:
    yield f"## {group['group']}"
    yield from map(_section, group["entries"])


def _section(defect: dict[str, Any]) -> str:
    own = defect.get("repair", "")
    parts = [
        f"### {defect['title']}",
        f"**What is wrong.** {defect['wrong']}",
        f"**What it did.** {defect['did']}",
    ]
    parts += [f"**Repair.** {own}"] if own else []
    parts += [_told(repair(code), described=bool(own)) for code in defect["code"]]
    return "\n\n".join(parts)


def _told(found: Repair, *, described: bool) -> str:
    """What a repair says of itself, or where it stands alone when the defect's own text has described it."""
    if described or not found.name:
        return f"**Where.** `{found.file}`" + (f", `{found.name}`" if found.name else "")
    said = NOT_OF_THE_DEFECT.sub("", found.docstring).strip()
    return f"**`{found.name}`** in `{found.file}`: {said}"
