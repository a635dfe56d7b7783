"""Finds the modules that decide a step's result, by reading import statements.

A step's result depends on the module of the function that it runs, and on all modules that this one imports,
at any depth. The rest of the project cannot change the result, and so is in no cache key.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

CODE = (".py", ".pyc")
OURS = __name__.partition(".")[0]
"""This project's own package. It counts when the layout of another package imports our code."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a module's source mentions.

    imports: absolute names of imported modules, or of names imported from them.
    strings: the contents of plain string literals.
    """

    imports: frozenset[str]
    strings: frozenset[str]


@cache
def code_digest(*modules: str) -> str:
    """SHA-256 over the names and contents of all files in the closure of `modules`."""
    digest = hashlib.sha256()
    for name, path in sorted(closure(*modules).items()):
        digest.update(f"\0{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def closure(*modules: str) -> dict[str, Path]:
    """The files of `modules`, and of all that they import of the packages that they are in and of ours.

    Imports from other top-level packages than those of `modules` and ours are left out. An import inside a
    function counts; one under `if TYPE_CHECKING` does not. A module brings the `__init__.py` files of the
    packages around it, and the templates in or below its folder whose file names it mentions as strings.
    """
    inside = {OURS, *(name.partition(".")[0] for name in modules)}
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or name.partition(".")[0] not in inside or (path := _file(name)) is None:
            continue
        found[name] = path
        text = read(path.read_bytes(), name if path.name == "__init__.py" else name.rpartition(".")[0])
        found |= {
            f"{name}/{each.name}": each for each in _templates(path.parent) if each.name in text.strings
        }
        waiting += [*_parents(name), *text.imports]
    return found


@cache
def read(source: bytes, package: str) -> Text:
    """What the source of a module in `package` mentions; nothing when the source is not valid Python."""
    imports: set[str] = set()
    strings: set[str] = set()
    waiting: list[ast.AST] = []
    with suppress(SyntaxError, ValueError):
        waiting.append(ast.parse(source))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and _for_type_checkers(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.update(_imported(node, package))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.add(node.value)
        waiting += ast.iter_child_nodes(node)
    return Text(frozenset(imports), frozenset(strings))


def _for_type_checkers(test: ast.expr) -> bool:
    return getattr(test, "id", getattr(test, "attr", None)) == "TYPE_CHECKING"


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    above = package.split(".")
    parts = above[: len(above) - node.level + 1] if node.level else []
    base = ".".join(filter(None, [*parts, node.module]))
    yield base
    yield from (f"{base}.{alias.name}" for alias in node.names)


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name


@cache
def _templates(folder: Path) -> tuple[Path, ...]:
    """The files in a folder and below it that are not Python code."""
    return tuple(path for path in folder.rglob("*.*") if path.suffix not in CODE and path.is_file())


def _file(name: str) -> Path | None:
    """The source of a module or package; None where there is none, as for a name in a module."""
    top, *rest = name.split(".")
    with suppress(ValueError):  # a program's own `__main__` raises it
        spec = find_spec(top)  # this imports nothing, since the name has no dot
        if spec is None:
            return None
        if not rest and spec.origin and not spec.submodule_search_locations:
            return Path(spec.origin)
        for root in spec.submodule_search_locations or ():
            place = Path(root, *rest)
            for path in (place / "__init__.py", place.with_suffix(".py")):
                if path.is_file():
                    return path
    return None
