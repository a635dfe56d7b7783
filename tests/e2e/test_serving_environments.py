"""The Python of a bundle, in environments that know nothing of this project: `make environments`.

Each is made by uv in `.envs`, of an interpreter of this machine and the wheels of one Paddle. With the Paddle
that validated the model the answers are bit-equal; with a newer one, the table says how far they are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving.models import Served, build
from tests.interpreters import interpreter
from tests.patience import allowed

pytestmark = [pytest.mark.paddle, pytest.mark.sweep, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
MODELS = ("offline", "qdq", "gru", "lstm")
OLD, NEW = "2.6.2", "3.3.1"
FAR = 0.05
"""Most that another version's answers may differ, as a share of the largest value."""
PYTHONS = {OLD: ("3.8", "3.9", "3.10", "3.11", "3.12"), NEW: ("3.9", "3.10", "3.11", "3.12", "3.13")}
"""The Pythons that each Paddle has wheels for."""
BESIDE = {OLD: ("numpy<2", "setuptools<81"), NEW: ("numpy", "setuptools<81")}
ANSWER = """
import importlib.util, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
for bundle in map(Path, sys.argv[1:]):
    spec = importlib.util.spec_from_file_location(bundle.name, str(bundle / "examples" / "predict.py"))
    predict = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(predict)
    with np.load(bundle / "example_input.npz") as stored:
        feeds = dict(stored)
    try:
        shared = predict.open_bundle(bundle, predictors=2)
        with ThreadPoolExecutor(4) as clients:
            answers = list(clients.map(lambda _: shared.run(feeds), range(12)))
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        (bundle / "refused.txt").write_text(lines[-1])
        continue
    alike = all(np.array_equal(*pair) for answer in answers for pair in zip(answer, answers[0]))
    named = {str(place): each for place, each in enumerate(answers[0])}
    np.savez(bundle / "answers.npz", alike=np.array(alike), **named)
"""
"""Opens each bundle with its own code, and has it answer its example for several threads."""
REFUSED = {(NEW, "gru")}
"""What a newer Paddle cannot run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment with one Paddle, and the interpreter in it."""

    python: str
    paddle: str
    interpreter: Path


def uv(*arguments: str | Path) -> None:
    program = Path(sys.executable).with_name("uv")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(
    scope="module",
    params=[(paddle, python) for paddle, pythons in PYTHONS.items() for python in pythons],
    ids=lambda param: f"paddle {param[0]} on {param[1]}",
)
def environment(request: pytest.FixtureRequest) -> Environment:
    paddle, python = request.param
    if (path := interpreter(python)) is None:
        pytest.skip(f"python{python} is missing")
    folder = ROOT / ".envs" / f"python{python}-paddle{paddle}"
    own = folder / "bin" / "python"
    if not own.exists():
        uv("venv", "--quiet", "--python", path, folder)
    uv("pip", "install", "--quiet", "--python", own, f"paddlepaddle=={paddle}", *BESIDE[paddle])
    return Environment(python=python, paddle=paddle, interpreter=own)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Served]:
    return build(tmp_path_factory.mktemp("served"), MODELS)


def ran(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Without anything of this environment."""
    bare = {"PATH": os.environ["PATH"], "HOME": str(cwd)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=allowed(600), check=False, cwd=cwd, env=bare
    )


def told(environment: Environment, name: str, bundle: Path) -> str:
    """How a bundle's answers in this environment compare with the validated ones, as far as they may."""
    if (refused := bundle / "refused.txt").exists():
        assert (environment.paddle, name) in REFUSED, refused.read_text()
        return f"refused: {refused.read_text()[:100]}"
    assert (environment.paddle, name) not in REFUSED
    with np.load(bundle / "example_output.npz") as stored, np.load(bundle / "answers.npz") as found:
        wanted = list(stored.values())
        outputs = [found[str(place)] for place in range(len(wanted))]
        assert found["alike"]
    if all(map(np.array_equal, outputs, wanted)):
        return "bit-equal"
    worst = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(outputs, wanted, strict=True))
    assert environment.paddle != OLD
    assert worst < FAR
    return f"within {worst:.1e} of the largest value"


def test_bundles_answer_in_an_environment_of_their_own(
    environment: Environment, served: dict[str, Served], tmp_path: Path
) -> None:
    bundles = {name: tmp_path / name for name in MODELS}
    for name, bundle in bundles.items():
        shutil.copytree(served[name].bundle, bundle)
    done = ran(environment.interpreter, "-c", ANSWER, *bundles.values(), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, bundle in bundles.items():
        said = told(environment, name, bundle)
        print(f"| {environment.paddle} | {environment.python} | {name} | {said} |")  # noqa: T201
    example = ran(environment.interpreter, bundles["qdq"] / "examples" / "predict.py", cwd=tmp_path)
    assert example.returncode == 0, example.stderr
    assert "the validated output" in example.stdout
