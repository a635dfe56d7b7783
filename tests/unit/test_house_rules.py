"""What holds for every file of the product: short functions and files, whole sentences, types."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(file for name in ("flows", "tasks", "zoo", "deploy") for file in (ROOT / name).rglob("*.py"))
MOST_LINES_OF_A_FUNCTION, MOST_LINES_OF_A_FILE, MOST_LINES_OF_A_FLOW = 65, 500, 130
MOST_ANY = 32
"""CONTRIBUTING.md says what they stand for."""
BEGINNINGS = ("Of ", "Raises:")
"""Such a text does not say what it speaks of: one has to read the name that it belongs to."""

every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())


@every_file
def test_file_fits_a_reader(file: Path) -> None:
    assert len(_lines(file)) <= MOST_LINES_OF_A_FILE


@every_file
def test_functions_fit_a_screen(file: Path) -> None:
    long = [node.name for node in _functions(file) if _length(node) > MOST_LINES_OF_A_FUNCTION]
    assert not long


@every_file
def test_texts_begin_with_what_they_speak_of(file: Path) -> None:
    assert not [text for text in _texts(file) if text.startswith(BEGINNINGS)]


def test_any_stands_for_little() -> None:
    places = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in FILES
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.Name) and node.id == "Any"
    ]
    assert len(places) <= MOST_ANY, places


def test_flows_folder_holds_flows_of_one_screen_alone() -> None:
    for file in (ROOT / "flows").glob("*.py"):
        if file.name != "__init__.py":
            assert len(_lines(file)) <= MOST_LINES_OF_A_FLOW
            assert file.stem in {node.name for node in _functions(file) if node.decorator_list}


def _functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _texts(file: Path) -> Iterator[str]:
    """The docstrings of a file, those of its constants too, and the descriptions and help of its options."""
    for node in ast.walk(_tree(file)):
        spoken = isinstance(node, ast.keyword) and node.arg in ("description", "help")
        if spoken or isinstance(node, ast.Expr):
            yield from _strings(node.value)


def _strings(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse("\n".join(_lines(file)))


@cache
def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()
