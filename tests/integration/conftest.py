"""Fixtures for the integration tests."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.artifacts import Bundle, HostProfile
from paddle_int8.tasks.hardware.profile import host_profile
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.store.folder import folder_digest
from tests.integration.small_release import SmallRelease, build
from tests.release_factory import build_release
from tests.shared import made_once

MADE = "small_release.pickle"
DOUBLER = """
import json
from pathlib import Path
import mlflow
from mlflow.pyfunc.model import PythonModel

class Doubler(PythonModel):
    def load_context(self, context):
        self.factor = json.loads((Path(context.artifacts["bundle"]) / "factor.json").read_text())

    def predict(self, context, model_input, params=None):
        return {"scores": model_input["image"] * self.factor}

mlflow.models.set_model(Doubler())
"""


@pytest.fixture(scope="session")
def small_release() -> SmallRelease:
    """A small real model, quantized both ways, and its validation data."""
    folder = made_once("small_release", _build)
    release: SmallRelease = pickle.loads((folder / MADE).read_bytes())
    return release


def _build(folder: Path) -> None:
    made = run_isolated(build, folder, step="build", log=folder / "build.log", timeout_s=300)
    (folder / MADE).write_bytes(pickle.dumps(made))


@pytest.fixture(scope="session")
def host() -> HostProfile:
    """The machine the tests run on, whichever it is."""
    return host_profile()


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle without a model: the description that MLflow is given, and a file."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    deployment = {
        "digest": build_release().verdicts[0].digest,
        "validated_on": [{"isa": "avx512_core_vnni"}, {"isa": "avx512_core"}],
        "inputs": [{"name": "image", "shape": [-1, 3], "dtype": "float32"}],
        "outputs": [{"name": "scores", "shape": [-1, 3], "dtype": "float32"}],
        "requirements": ["numpy<2"],
    }
    (folder / "deployment.json").write_text(json.dumps(deployment))
    (folder / "factor.json").write_text("2")
    return Bundle(folder=folder, digest=folder_digest(folder), size_bytes=1)


@pytest.fixture
def doubler(tmp_path: Path) -> Path:
    """The code of a pyfunc that multiplies by the factor in its bundle."""
    path = tmp_path / "doubler.py"
    path.write_text(DOUBLER)
    return path
