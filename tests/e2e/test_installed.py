"""The program as a wheel installs it, in a folder whose own packages are called `tasks` and `flows`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from paddle_int8.tasks.process.isolated import run_isolated
from tests.e2e.command_line import variables
from tests.e2e.servers import ROOT
from tests.e2e.small_inputs import SmallInputs
from tests.integration.colours import CLASSES, draw, export
from tests.patience import allowed

pytestmark = pytest.mark.paddle

BUILT_FROM = ("paddle_int8", "flows", "tasks", "zoo")
MADE_HERE = shutil.ignore_patterns("__pycache__")
OF_THE_NETWORK = ("PIP_", "SSL_CERT")
"""What a newcomer's environment keeps of this one: how the package index is reached."""
INSTALL_S, STEP_S = 1800, 300
SAMPLES = """
import numpy as np

def samples(file):
    stored = np.load(file)
    return stored["image"], stored["labels"]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    for name in BUILT_FROM:
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=MADE_HERE)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tree / "dist"), str(tree))
    (built,) = (tree / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    _pip("install", "--no-deps", "--no-index", "--target", str(folder), str(wheel))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's folder whose `tasks` reads samples, and whose `flows` is nobody's to import."""
    for name, text in {
        "tasks/mine.py": SAMPLES,
        "flows/__init__.py": "raise SystemExit('not yours')",
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "tasks" / "__init__.py").touch()
    return tmp_path


def test_wheel_holds_every_file_of_the_three_folders_and_nothing_else(wheel: Path) -> None:
    files = (file for name in BUILT_FROM for file in (ROOT / name).rglob("*") if file.is_file())
    here = {file.relative_to(ROOT).as_posix() for file in files if "__pycache__" not in file.parts}
    expected = {name if name.startswith("paddle_int8/") else f"paddle_int8/{name}" for name in here}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected


def test_installed_release_reads_samples_by_a_function_in_the_users_own_tasks(
    site: Path, project: Path, inputs: SmallInputs
) -> None:
    taught = {"file": str(inputs.folder / "taught.npz")}
    source = {"kind": "callable", "function": "tasks.mine:samples", "arguments": taught}
    config = inputs.approvable(project / "release.yaml", "installed", data={"validation": source})
    asked = _program(site, project, "release", str(config), "--json")
    assert json.loads(asked)["outcome"] == "approved"


def test_installed_package_is_imported_from_where_it_was_installed(site: Path, project: Path) -> None:
    shown = (
        "import paddle_int8.tasks as ours, tasks.mine as theirs; print(ours.__file__); print(theirs.__file__)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", shown],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert [Path(file) for file in printed] == [
        site / "paddle_int8" / "tasks" / "__init__.py",
        project / "tasks" / "mine.py",
    ]


@pytest.mark.sweep
@pytest.mark.timeout(0)  # an installation from the package index takes what it takes
def test_wheel_installed_by_plain_pip_takes_a_newcomers_model_to_a_verdict(
    wheel: Path, tmp_path: Path
) -> None:
    run_isolated(export, tmp_path / "export", step="export", log=tmp_path / "export.log", timeout_s=300)
    draw(tmp_path / "images", each=24)
    (tmp_path / "names.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    newcomer = _Newcomer(tmp_path)
    newcomer.types(sys.executable, "-m", "venv", "venv", seconds=STEP_S)
    newcomer.types("venv/bin/pip", "install", str(wheel), seconds=INSTALL_S)
    assert "No broken requirements" in newcomer.types("venv/bin/pip", "check")
    program = "venv/bin/paddle-int8"
    assert "release" in newcomer.types(program, "--help")
    newcomer.types(program, "init", "export", "images", "--yes", "--classes", "names.txt", "--name", "mine")
    assert "READY" in newcomer.types(program, "check", "mine.yaml")
    config = tmp_path / "mine.yaml"
    eased = yaml.safe_load(config.read_text(encoding="utf-8"))
    eased["gate"]["min_speedup"] = 0.01
    eased["quantization"] = eased.get("quantization", {}) | {"algorithms": ["abs_max"]}
    config.write_text(yaml.safe_dump(eased), encoding="utf-8")
    assert "APPROVED" in newcomer.types(program, "release", "mine.yaml")
    assert list((tmp_path / "var" / "reports").glob("mine-*.html"))


class _Newcomer:
    """Somebody with an empty home, whose environment has nothing but a path and a way to the index."""

    def __init__(self, folder: Path) -> None:
        (folder / "home").mkdir()
        self._folder = folder
        kept = {name: value for name, value in os.environ.items() if name.startswith(OF_THE_NETWORK)}
        self._environment = kept | {"HOME": str(folder / "home"), "PATH": "/usr/local/bin:/usr/bin:/bin"}

    def types(self, *command: str, seconds: float = STEP_S) -> str:
        """What the command prints, errors included."""
        ended = subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=allowed(seconds),
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout


def _program(site: Path, project: Path, *command: str) -> str:
    """What the installed program prints in the user's folder."""
    ended = subprocess.run(
        [sys.executable, str(site / "bin" / "paddle-int8"), *command],
        cwd=project,
        env=variables(project / "var", PYTHONPATH=str(site)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=allowed(300),
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def _pip(*command: str) -> None:
    ended = subprocess.run([sys.executable, "-m", "pip", *command], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
