"""What is not public of another package is taken in its adapter alone, and the adapter's guard names it."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.borrowed import Borrowed
from paddle_int8.tasks.engines.paddle.private import guard
from paddle_int8.tasks.steps import prefect_private
from paddle_int8.tasks.tracking import mlflow_private

ROOT = Path(__file__).parents[2]
PADDLE = "tasks/engines/paddle/private/"
CALIBRATION = "tasks/engines/paddle/quantization/"
CONVERSION = "tasks/engines/paddle/conversion/quant2int8.py"
CALIBRATORS = (f"{CALIBRATION}calibrator.py", f"{CALIBRATION}fast_calibrator.py")
PREFECT, MLFLOW = "tasks/steps/prefect_private.py", "tasks/tracking/mlflow_private.py"
CPYTHON = "tasks/process/cpython.py"

PRIVATE_MODULES = {
    "multiprocessing.forkserver": (CPYTHON,),
    "multiprocessing.process": (CPYTHON,),
    "multiprocessing.util": (CPYTHON,),
    "mlflow.store": (MLFLOW,),
    "mlflow.tracking._": (),
    "mlflow.utils": (MLFLOW,),
    "paddle.base": (PADDLE,),
    "paddle.framework": (),
    "paddle.static.io": (PADDLE,),
    "paddle.static.quantization": (*CALIBRATORS, CONVERSION),
    "prefect._": (),
    "prefect.server": (PREFECT,),
    "prefect.utilities": (),
}
"""Beginnings of the names of modules that are not public, each with the adapters that may import them."""
PUBLIC = frozenset({"_exit"})
"""Names of `os` that are documented in spite of its name."""
WITHOUT_UNDERSCORE = frozenset({"desc", "result_storage"})
"""Attributes of Paddle's and Prefect's objects that are not public either."""

ALL = (
    *(guard.PADDLE, guard.CALIBRATOR, guard.QUANT2INT8, guard.SLIM_PACKAGE),
    *(prefect_private.RUNS, prefect_private.SERVER, mlflow_private.MLFLOW),
)
ROOMS = ("benchmarks", "flows", "tasks", "zoo")
SOURCES = sorted(path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def _tree(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text(encoding="utf-8"))


def _private_attributes(tree: ast.Module) -> Iterator[str]:
    """Private attributes that the source takes of an object that is not its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not _is_own(node.value) and _is_private(node.attr):
            yield node.attr


def _is_own(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("self", "cls")


def _is_private(name: str) -> bool:
    hidden = name.startswith("_") and not name.endswith("__")
    return (hidden or name in WITHOUT_UNDERSCORE) and name not in PUBLIC


def _for_types(tree: ast.Module) -> set[ast.AST]:
    """What stands below `if TYPE_CHECKING:`, which never runs."""
    return {
        below
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for below in ast.walk(node)
    }


def _modules(tree: ast.Module) -> Iterator[str]:
    """Names of modules that run: imported, or reached by attributes of one that is."""
    never = _for_types(tree)
    for node in ast.walk(tree):
        if node in never:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def _adapters(prefixes: Iterable[str]) -> tuple[str, ...]:
    return tuple(source for source in SOURCES if source.startswith(tuple(prefixes)))


def test_sources_take_no_private_attribute_outside_of_an_adapter() -> None:
    others = set(SOURCES) - set(_adapters((PADDLE, PREFECT, MLFLOW, CPYTHON, *CALIBRATORS, CONVERSION)))
    found = {source: names for source in others if (names := set(_private_attributes(_tree(source))))}
    assert found == {}, "call the adapter instead: see docs/upgrading.md"


def test_sources_import_no_private_module_outside_of_its_adapter() -> None:
    found = {source: names for source in SOURCES if (names := _foreign(source))}
    assert found == {}, "call the adapter instead: see docs/upgrading.md"


def _foreign(source: str) -> set[str]:
    """Private modules that the source runs, and is not the adapter of."""
    theirs = tuple(name for name, allowed in PRIVATE_MODULES.items() if not source.startswith(tuple(allowed)))
    return {name for name in _modules(_tree(source)) if name.startswith(theirs)}


def _named(*borrowed: Borrowed) -> set[str]:
    lists = [names for each in borrowed for names in (*each.names.values(), *each.fields.values())]
    return {name for names in lists for name in names}


@pytest.mark.parametrize(
    ("sources", "borrowed"),
    [
        pytest.param((PADDLE,), (guard.PADDLE,), id="Paddle"),
        pytest.param((PREFECT,), (prefect_private.RUNS, prefect_private.SERVER), id="Prefect"),
        pytest.param((MLFLOW,), (mlflow_private.MLFLOW,), id="MLflow"),
    ],
)
def test_adapter_every_private_attribute_that_it_takes_is_in_its_guard(
    sources: tuple[str, ...], borrowed: tuple[Borrowed, ...]
) -> None:
    used = {name for source in _adapters(sources) for name in _private_attributes(_tree(source))}
    unnamed = used - _named(*borrowed) - {"desc"}  # of which the guard names the class
    assert used
    assert not unnamed


def _defined(tree: ast.Module) -> set[str]:
    """Methods, and attributes that the source itself gives an object."""
    return {
        node.name if isinstance(node, ast.FunctionDef) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_own(node.value))
    }


@pytest.mark.parametrize(
    ("sources", "borrowed"),
    [
        pytest.param(CALIBRATORS, guard.CALIBRATOR, id="PostTrainingQuantization"),
        pytest.param((CONVERSION,), guard.QUANT2INT8, id="Quant2Int8MkldnnPass"),
    ],
)
def test_subclass_every_member_of_its_base_that_it_takes_is_in_its_guard(
    sources: tuple[str, ...], borrowed: Borrowed
) -> None:
    trees = [_tree(source) for source in sources]
    used = {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) in ("self", "super()")
        and _is_private(node.attr)
    }
    own = {name for tree in trees for name in _defined(tree)}
    assert used - own - _named(borrowed) == set()
    assert not set().union(*(_private_attributes(tree) for tree in trees)) - _named(borrowed) - own


def test_guard_the_adapter_that_it_names_exists() -> None:
    assert [each.adapter for each in ALL if not (ROOT / each.adapter).exists()] == []


def _pins() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return dict(pin.split("==") for pin in project["dependencies"] if "==" in pin)


@pytest.mark.parametrize("borrowed", ALL, ids=lambda each: each.adapter)
def test_guard_its_release_is_the_one_that_is_pinned(borrowed: Borrowed) -> None:
    assert f"{_pins()[borrowed.package]}.".startswith(f"{borrowed.release}.")


@pytest.mark.parametrize("borrowed", ALL, ids=lambda each: each.adapter)
def test_upgrading_page_names_the_adapter_and_the_release(borrowed: Borrowed) -> None:
    page = (ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8")
    rows = [row for row in page.splitlines() if row.startswith("| ") and borrowed.release in row]
    assert any(f"`{borrowed.adapter}`" in row for row in rows)


def test_upgrading_page_every_file_and_command_that_it_names_exists() -> None:
    page = (ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8")
    files = set(re.findall(r"`((?:tasks|flows|tests)/[\w/]+\.py)`", page))
    assert files
    assert [name for name in files if not (ROOT / name).exists()] == []
    named = set(re.findall(r"`(test_\w+\.py)`", page))
    assert named <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)`", page)) <= set(targets)
