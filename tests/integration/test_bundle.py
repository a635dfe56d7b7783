"""The bundle, and the MLflow model made of it, answer as the validated predictor did."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.artifacts import Bundle, HostProfile
from paddle_int8.tasks.contracts.errors import StorageError
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.engines.engine import BundleRequest
from paddle_int8.tasks.engines.paddle.bundle import write_bundle
from paddle_int8.tasks.engines.paddle.switches import QDQ
from paddle_int8.tasks.tracking.registry import PYFUNC
from paddle_int8.tasks.validation.audit_model import audit_isolated
from tests.integration.small_release import SmallRelease, measured
from tests.patience import allowed

pytestmark = pytest.mark.paddle

LOG = """
import sys
import mlflow
with mlflow.start_run():
    logged = mlflow.pyfunc.log_model(
        name="model",
        python_model=sys.argv[1],
        artifacts={"bundle": sys.argv[2]},
        pip_requirements=["paddlepaddle==2.6.2"],
    )
print(logged.model_uri)
"""
PREDICT = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np, pandas as pd
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
image = np.load(sys.argv[2])["image"]
answers = {
    "dict": model.predict({"image": image}),
    "array": model.predict(image),
    "nested_frame": model.predict(pd.DataFrame({"image": [image[0].tolist()]})),
    "list_frame": model.predict(pd.DataFrame({"image": [image[0].ravel().tolist()]})),
    "flat_frame": model.predict(pd.DataFrame(image.reshape(1, -1))),
}
np.savez(sys.argv[3], **{f"{kind}/{name}": out for kind, all in answers.items() for name, out in all.items()})
try:
    model.predict({"picture": image})
except ValueError as error:
    print(error)
batches = [np.repeat(image, 1 + place % 5, axis=0) * (1 + place) for place in range(80)]
wanted = [model.predict({"image": batch}) for batch in batches]
with ThreadPoolExecutor(8) as clients:
    found = list(clients.map(lambda batch: model.predict({"image": batch}), batches))
right = [all(np.array_equal(each[name], own[name]) for name in own) for each, own in zip(found, wanted)]
print(sum(right), "of 80 right")
"""


@pytest.fixture(scope="module")
def evidence(
    small_release: SmallRelease, host: HostProfile, tmp_path_factory: pytest.TempPathFactory
) -> CandidateEvidence:
    deployable, model = small_release.deployables["qdq"], small_release.model
    folder = tmp_path_factory.mktemp("measured")
    return CandidateEvidence(
        candidate=deployable.candidate,
        digest=deployable.digest,
        size_bytes=deployable.size_bytes,
        baseline_digest=model.digest,
        baseline_size_bytes=model.size_bytes,
        validation_digest=small_release.validation.digest,
        host=host,
        per_isa=(measured(small_release, "qdq", folder, isa=host.isa),),
    )


def pack(release: SmallRelease, evidence: CandidateEvidence, folder: Path) -> Bundle:
    request = BundleRequest(
        folder=folder,
        deployable=release.deployables["qdq"],
        model=release.model,
        evidence=evidence,
        preprocessing=Preprocessing(scale=0.5),
        threads=1,
        switches=QDQ,
    )
    return write_bundle(request)


@pytest.fixture(scope="module")
def bundle(
    small_release: SmallRelease, evidence: CandidateEvidence, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    return pack(small_release, evidence, tmp_path_factory.mktemp("bundle"))


def run(*command: str | Path, cwd: Path = Path("/"), env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=allowed(120), check=False, cwd=cwd, env=env
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(code: str, *arguments: str | Path, cwd: Path, env: dict[str, str]) -> str:
    """`code` in a fresh interpreter that sees nothing of this project's sources."""
    return run(sys.executable, "-P", "-c", code, *arguments, cwd=cwd, env=env)


def test_deployment_names_switches_level_and_specs(bundle: Bundle, host: HostProfile) -> None:
    deployment = json.loads((bundle.folder / "deployment.json").read_text())
    assert deployment["schema_version"] == 1
    assert deployment["switches"]["onednn"]
    assert deployment["switches"]["onednn_int8"]
    assert [level["isa"] for level in deployment["validated_on"]] == [host.isa.value]
    assert deployment["inputs"] == [
        {"name": "image", "shape": [-1, 3, 32, 32], "dtype": "float32", "sequence": False}
    ]
    with np.load(bundle.folder / "example_output.npz") as stored:
        assert [spec["name"] for spec in deployment["outputs"]] == stored.files
    assert deployment["preprocessing"]["scale"] == 0.5
    assert deployment["versions"]["paddlepaddle"] == "2.6.2"


def test_bundle_of_equal_content_has_an_equal_digest(
    small_release: SmallRelease, evidence: CandidateEvidence, bundle: Bundle, tmp_path: Path
) -> None:
    assert pack(small_release, evidence, tmp_path).digest == bundle.digest


def test_bundle_of_unmeasured_bytes_is_refused(
    small_release: SmallRelease, evidence: CandidateEvidence, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match="validate this deployable"):
        pack(small_release, replace(evidence, digest="0" * 64), tmp_path)
    assert not any(tmp_path.iterdir())


def test_python_example_moved_elsewhere_gives_the_validated_output(bundle: Bundle, tmp_path: Path) -> None:
    moved = tmp_path / "moved bundle"
    shutil.copytree(bundle.folder, moved)
    assert "equal to the validated output" in run(sys.executable, moved / "examples" / "predict.py")


def test_python_example_tells_a_different_output(bundle: Bundle, tmp_path: Path) -> None:
    moved = tmp_path / "bundle"
    shutil.copytree(bundle.folder, moved)
    with np.load(moved / "example_output.npz") as stored:
        wrong = {name: values + 1 for name, values in stored.items()}
    np.savez(moved / "example_output.npz", **wrong)
    assert "DIFFERS" in run(sys.executable, moved / "examples" / "predict.py")


def test_audit_of_a_bundle_runs_its_own_example_in_int8(bundle: Bundle) -> None:
    audit = audit_isolated(bundle.folder, None)
    assert audit.int8_primitives / audit.compute_primitives > 0.9


def test_pyfunc_in_a_fresh_process_gives_the_validated_output(bundle: Bundle, tmp_path: Path) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    answers, inputs = tmp_path / "answers.npz", bundle.folder / "example_input.npz"
    uri = python(LOG, PYFUNC, bundle.folder, cwd=tmp_path, env=environment).split()[-1]
    said = python(PREDICT, uri, inputs, answers, cwd=tmp_path, env=environment)
    assert "inputs image are missing" in said
    assert "80 of 80 right" in said
    with np.load(bundle.folder / "example_output.npz") as expected, np.load(answers) as found:
        kinds = {name.split("/")[0] for name in found}
        assert kinds == {"dict", "array", "nested_frame", "list_frame", "flat_frame"}
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[name.split("/", 1)[1]])
