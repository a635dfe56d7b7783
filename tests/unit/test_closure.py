"""The modules that a computation consists of are found by its import statements."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle_int8.tasks.steps.closure import closure, code_digest

HERE = "closure_of_keys"
FILES = {
    "__init__.py": "",
    "start.py": f"""
from typing import TYPE_CHECKING
import json
from {HERE}.sub import leaf
from . import beside
if TYPE_CHECKING:
    from {HERE} import only_typed
else:
    from {HERE} import run_otherwise
def late():
    import {HERE}.late.deep as deep
    return open("page.jinja")
""",
    "sub/__init__.py": "from ..above import name",
    "sub/leaf.py": "from .twin import value",
    "sub/twin.py": f"from {HERE} import start",
    "above.py": "",
    "beside.py": "",
    "only_typed.py": "",
    "run_otherwise.py": "",
    "late/__init__.py": "",
    "late/deep.py": "",
    "unrelated.py": "",
    "templates/page.jinja": "",
    "templates/other.jinja": "",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / HERE
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return root


def test_closure_holds_what_is_imported_at_any_depth_and_the_templates_that_are_named(package: Path) -> None:
    found = {str(path.relative_to(package)) for path in closure(f"{HERE}.start").values()}
    absent = {"only_typed.py", "unrelated.py", "templates/other.jinja"}
    assert found == FILES.keys() - absent


def test_digest_is_of_the_closure_and_of_nothing_beside_it(package: Path) -> None:
    digests = []
    for name in ("unrelated.py", "only_typed.py", "templates/page.jinja", "late/deep.py", "sub/__init__.py"):
        code_digest.cache_clear()
        digests.append(code_digest(f"{HERE}.start"))
        with (package / name).open("a") as stream:
            stream.write("\n# edited")
    code_digest.cache_clear()
    digests.append(code_digest(f"{HERE}.start"))
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests[2:])) == 4


def test_closure_of_a_module_outside_any_package_is_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lone_module_of_keys.py").write_text("import json")
    monkeypatch.syspath_prepend(tmp_path)
    assert [path.name for path in closure("lone_module_of_keys").values()] == ["lone_module_of_keys.py"]


def test_closure_of_a_module_that_is_not_python_is_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module_of_keys.py").write_text("def (")
    monkeypatch.syspath_prepend(tmp_path)
    assert [path.name for path in closure("broken_module_of_keys").values()] == ["broken_module_of_keys.py"]


def test_closure_of_a_module_that_is_nowhere_is_empty() -> None:
    assert closure("no_such_module_of_keys.at_all") == {}


def test_a_calibration_and_a_validation_share_no_code_of_either() -> None:
    quantize, validate = (
        closure("paddle_int8.tasks.engines.paddle.quantization.ptq"),
        closure("paddle_int8.tasks.validation.measure"),
    )
    assert "paddle_int8.tasks.engines.paddle.quantization.histogram" in quantize.keys() - validate.keys()
    assert "paddle_int8.tasks.validation.latency" in validate.keys() - quantize.keys()
    assert not [
        name
        for name in {*quantize, *validate}
        if name.startswith(("paddle_int8.tasks.tracking", "paddle_int8.tasks.steps.step"))
    ]


def test_closure_of_another_packages_layout_holds_what_it_takes_from_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "someones_layout.py").write_text("from paddle_int8.tasks.layouts import offline\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = closure("someones_layout")
    assert {"someones_layout", "paddle_int8.tasks.engines.paddle.conversion.offline"} <= found.keys()
    assert "paddle_int8.tasks.layouts.qdq" not in found
