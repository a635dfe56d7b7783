"""The Python of a bundle, in environments that know nothing of this project: `make environments`.

Each is made by uv in `.envs`, of an interpreter of this machine and the wheels of one Paddle. With the Paddle that
validated the model the answers are bit-equal; with a newer one, the table says how far they are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving.models import Served, build
from tests.patience import allowed

pytestmark = [pytest.mark.paddle, pytest.mark.sweep, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
MODELS = ("offline", "qdq", "gru", "lstm")
OLD, NEW = "2.6.2", "3.3.1"
PYTHONS = {OLD: ("3.8", "3.9", "3.10", "3.11", "3.12"), NEW: ("3.9", "3.10", "3.11", "3.12", "3.13")}
"""The Pythons that each Paddle has wheels for."""
BESIDE = {OLD: ("numpy<2", "setuptools<81"), NEW: ("numpy", "setuptools<81")}
ANSWER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
bundle = Path(sys.argv[1])
sys.path.insert(0, str(bundle / "examples"))
import predict
with np.load(bundle / "example_input.npz") as stored:
    feeds = dict(stored)
shared = predict.open_bundle(bundle, predictors=2)
with ThreadPoolExecutor(4) as clients:
    answers = list(clients.map(lambda _: shared.run(feeds), range(12)))
alike = all(np.array_equal(*pair) for answer in answers for pair in zip(answer, answers[0]))
np.savez(sys.argv[2], alike=np.array(alike), **{str(place): each for place, each in enumerate(answers[0])})
"""
REFUSED = {(NEW, "gru"), (NEW, "lstm")}
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


def interpreter(python: str) -> str | None:
    """A CPython of this version that starts; uv knows of those that pyenv and the system installed."""
    program = Path(sys.executable).with_name("uv")
    found = subprocess.run(
        [program, "python", "find", "--no-project", "--no-python-downloads", "--system", python],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or None


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


@pytest.fixture(scope="module", autouse=True)
def head() -> Iterator[None]:
    print("\n| Paddle | Python | model | answers |\n|---|---|---|---|")  # noqa: T201
    yield


def ran(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Without anything of this environment."""
    bare = {"PATH": os.environ["PATH"], "HOME": str(cwd)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=allowed(300), check=False, cwd=cwd, env=bare
    )


@pytest.mark.parametrize("name", MODELS)
def test_bundle_answers_in_an_environment_of_its_own(
    environment: Environment, served: dict[str, Served], name: str, tmp_path: Path
) -> None:
    bundle, answers = tmp_path / "bundle", tmp_path / "answers.npz"
    shutil.copytree(served[name].bundle, bundle)
    done = ran(environment.interpreter, "-c", ANSWER, bundle, answers, cwd=tmp_path)
    said = f"| {environment.paddle} | {environment.python} | {name} |"
    if (environment.paddle, name) in REFUSED:
        assert done.returncode != 0
        print(f"{said} refused: {done.stderr.strip().splitlines()[-1][:100]} |")  # noqa: T201
        return
    assert done.returncode == 0, done.stdout + done.stderr
    with np.load(bundle / "example_output.npz") as stored, np.load(answers) as found:
        wanted = list(stored.values())
        outputs = [found[str(place)] for place in range(len(wanted))]
        assert found["alike"]
    equal = all(map(np.array_equal, outputs, wanted))
    worst = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(outputs, wanted, strict=True))
    print(f"{said} {'bit-equal' if equal else f'within {worst:.1e} of the largest value'} |")  # noqa: T201
    assert equal if environment.paddle == OLD else worst < 0.05
    example = ran(environment.interpreter, bundle / "examples" / "predict.py", cwd=tmp_path)
    assert example.returncode == 0, example.stderr
    assert ("equal to the validated output" in example.stdout) == equal
