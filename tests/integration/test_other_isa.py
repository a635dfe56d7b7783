"""On an instruction set that it was not validated on, a bundle says so once or, when strict, refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from benchmarks.serving.models import Served, build, save
from benchmarks.serving.server import serving
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from tests.patience import allowed

pytestmark = pytest.mark.paddle
OTHER = IsaLevel.AVX2
LIMITED = {"ONEDNN_MAX_CPU_ISA": OTHER.value.upper()}
LOAD = "import mlflow, sys; mlflow.pyfunc.load_model(sys.argv[1])"


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory, host: HostProfile) -> Served:
    if OTHER not in host.emulates:
        pytest.skip(f"this CPU emulates no {OTHER}")
    return build(tmp_path_factory.mktemp("lenient"), ["qdq"])["qdq"]


@pytest.fixture(scope="module")
def strict(lenient: Served, tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = tmp_path_factory.mktemp("strict")
    shutil.copytree(lenient.bundle, folder / "bundle")
    path = folder / "bundle" / "deployment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "strict": True}))
    return Served(name="qdq", bundle=folder / "bundle", model=save(folder / "bundle", folder / "mlflow"))


def warning(host: HostProfile) -> str:
    return f"oneDNN uses {OTHER}; this bundle was validated on {host.isa}."


def ran(*command: str | Path, limited: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=allowed(120),
        check=False,
        env={**os.environ, **(LIMITED if limited else {})},
    )


def opened(served: Served, way: str, *, limited: bool = True) -> subprocess.CompletedProcess[str]:
    if way == "predict.py":
        return ran(sys.executable, served.bundle / "examples" / "predict.py", limited=limited)
    return ran(sys.executable, "-c", LOAD, served.model, limited=limited)


@pytest.mark.parametrize("way", ["predict.py", "pyfunc"])
def test_bundle_says_once_by_both_names_that_it_was_not_validated_here(
    lenient: Served, host: HostProfile, way: str
) -> None:
    done = opened(lenient, way)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(warning(host)) == 1
    assert warning(host) not in opened(lenient, way, limited=False).stderr


@pytest.mark.parametrize("way", ["predict.py", "pyfunc"])
def test_strict_bundle_refuses_to_open(strict: Served, host: HostProfile, way: str) -> None:
    done = opened(strict, way)
    assert done.returncode != 0
    assert f"this bundle is strict and does not open here: {warning(host)}" in done.stderr
    assert opened(strict, way, limited=False).returncode == 0


def test_log_of_the_server_says_it_once(lenient: Served, host: HostProfile, tmp_path: Path) -> None:
    log = tmp_path / "serving.log"
    with serving(str(lenient.model), f"sqlite:///{tmp_path}/mlflow.db", log, variables=LIMITED) as server:
        body = {"inputs": {name: values.tolist() for name, values in lenient.request(0).items()}}
        for _ in range(2):
            httpx.post(f"{server.url}/invocations", json=body, timeout=allowed(60)).raise_for_status()
    assert log.read_text().count(warning(host)) == 1


def test_strict_bundle_is_not_served(strict: Served, host: HostProfile, tmp_path: Path) -> None:
    log = tmp_path / "serving.log"
    with (
        pytest.raises(RuntimeError, match="does not answer"),
        serving(str(strict.model), f"sqlite:///{tmp_path}/mlflow.db", log, variables=LIMITED),
    ):
        pass
    assert warning(host) in log.read_text()
