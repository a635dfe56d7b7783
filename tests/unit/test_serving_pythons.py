"""The file that every bundle contains runs on every Python for which its Paddle has wheels."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from paddle_int8.tasks.engines.paddle import serving
from paddle_int8.tasks.engines.paddle.bundle import pythons
from tests.interpreters import interpreter

SOURCE = Path(serving.__file__)
OLDEST = (3, 8)
NEWER = {
    "zip": {"strict"},
    "dataclass": {"slots", "kw_only"},
    "bisect": {"key"},
    "is_relative_to": set[str](),
    "removeprefix": set[str](),
    "removesuffix": set[str](),
    "pairwise": set[str](),
    "batched": set[str](),
    "with_stem": set[str](),
    "bit_count": set[str](),
    "cache": set[str](),
    "to_thread": set[str](),
}
"""Calls of the standard library that Python 3.8 has not, or not with these keywords."""
PORTABLE = {
    "argparse",
    "concurrent",
    "ctypes",
    "json",
    "logging",
    "os",
    "pathlib",
    "queue",
    "threading",
    "time",
    "typing",
    "weakref",
}
PORTABLE |= {"__future__", "numpy", "paddle"}
STAND_IN = "class _Any:\n    def __class_getitem__(cls, item): return cls\nNDArray = ndarray = _Any\n"


def tree() -> ast.Module:
    return ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=OLDEST)


def name_of(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def test_oldest_python_of_paddles_wheels_is_the_one_that_is_held_to() -> None:
    assert pythons()[0] == ".".join(map(str, OLDEST))


def test_shipped_file_calls_nothing_newer_than_the_oldest_python() -> None:
    for call in (node for node in ast.walk(tree()) if isinstance(node, ast.Call)):
        if (keywords := NEWER.get(name_of(call.func))) is not None:
            assert keywords, f"line {call.lineno}: {name_of(call.func)}"
            assert not keywords & {each.arg for each in call.keywords}, f"line {call.lineno}"


def test_shipped_file_evaluates_no_newer_types_and_joins_no_dicts() -> None:
    """Annotations are not evaluated; aliases, defaults and calls are."""
    module = tree()
    annotations = {id(part) for node in ast.walk(module) for part in _annotations(node)}
    for node in ast.walk(module):
        if id(node) in annotations:
            continue
        joined = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.BitOr)
        assert not joined, f"line {node.lineno}: | joins no dicts and no types before 3.9 and 3.10"
        if isinstance(node, ast.Subscript):
            assert name_of(node.value) not in {"dict", "list", "set", "tuple", "Queue", "Future"}, (
                f"line {node.lineno}: no subscript before 3.9"
            )


def _annotations(node: ast.AST) -> list[ast.AST]:
    given = [getattr(node, "annotation", None), getattr(node, "returns", None)]
    return [part for each in given if each is not None for part in ast.walk(each)]


def test_shipped_file_imports_only_what_every_system_has() -> None:
    for node in ast.walk(tree()):
        if isinstance(node, ast.Import):
            assert {each.name.split(".")[0] for each in node.names} <= PORTABLE
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] in PORTABLE
        if isinstance(node, ast.Attribute) and name_of(node.value) == "os":
            assert node.attr == "environ", f"line {node.lineno}: os.{node.attr} is not on every system"


@pytest.mark.parametrize("version", [*pythons(), "3.13"])
def test_shipped_file_is_imported_by_python(version: str, tmp_path: Path) -> None:
    """With a stand-in for numpy, which the interpreters of a test machine have not."""
    if (program := interpreter(version)) is None:
        pytest.skip(f"python{version} is missing")
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").write_text(STAND_IN)
    (tmp_path / "numpy" / "typing.py").write_text(STAND_IN)
    shutil.copy(SOURCE, tmp_path / "predict.py")
    command = [program, "-W", "error", "-c", "import predict, sys; print(sys.version_info[:2])"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == str(tuple(map(int, version.split("."))))
