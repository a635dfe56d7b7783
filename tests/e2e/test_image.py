"""`make image-steps`: the Dockerfile's steps run in a clean root file system, and their result works."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.image import PROGRAMS, Image
from tests.e2e.servers import ROOT
from tests.e2e.small_inputs import SmallInputs

pytestmark = [pytest.mark.paddle, pytest.mark.sweep, pytest.mark.timeout(3600)]

IN_DATA = {"HOME": "/data", "PADDLE_INT8_HOME": "/data/home", "PREFECT_HOME": "/data/prefect"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"needs root and {', '.join(missing or PROGRAMS)}")
    root = tmp_path_factory.mktemp("image")
    root.chmod(0o755)
    made = Image(root=root, context=ROOT)
    made.build(ROOT / "Dockerfile")
    yield made
    shutil.rmtree(root)


def test_every_service_of_the_stack_finds_its_program_in_the_image(image: Image) -> None:
    for command in ("prefect --version", "mlflow --version", "dask --version", "paddle-int8 --help"):
        assert image.run(command, IN_DATA, served=True)


def test_image_is_served_without_rights_on_a_read_only_disk(image: Image) -> None:
    assert image.run("id -u", served=True).strip() == "10001"
    assert image.run("grep CapBnd /proc/self/status", served=True).split()[1].strip("0") == ""
    assert image.run("touch /app/x 2>/dev/null || echo refused", served=True).strip() == "refused"


def test_image_releases_a_model(image: Image, inputs: SmallInputs) -> None:
    data = image.root / "data"
    shutil.copytree(inputs.folder, data / "inputs")
    inside = SmallInputs(folder=Path("/data/inputs"))
    inside.approvable(data / "release.yaml", "in-the-image")
    document = json.loads(image.run("paddle-int8 release /data/release.yaml --json", IN_DATA, served=True))
    assert document["outcome"] == "approved"
