"""A trained FP32 model is taken from a real registry, and bad versions are refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from uuid import uuid4

import pytest

from paddle_int8.tasks.config.model import ModelFiles, RegisteredModel
from paddle_int8.tasks.contracts.errors import ModelFormatError, RegistryError
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.tracking import runs
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.tracking.registry import ensure_registered_model
from paddle_int8.tasks.tracking.runs import RunStatus
from paddle_int8.tasks.tracking.source import SourceVersion, fetch_source, is_released, resolve_source
from tests import databases
from tests.integration.test_download import Bomb
from tests.release_factory import build_config


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return databases.mlflow_in(tmp_path_factory.mktemp("source"))


@pytest.fixture
def name() -> str:
    return f"fp32-{uuid4().hex[:8]}"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """As `paddle.jit.save` names its files, one of which is a pickle, and MLflow's own beside them."""
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "model.pdmodel").write_bytes(b"\x0aprogram")
    (folder / "model.pdiparams").write_bytes(b"\0\0\0\0parameters")
    (folder / "model.pdiparams.info").write_bytes(pickle.dumps({}))
    (folder / "MLmodel").write_text("flavors: {}")
    return folder


def register(uri: str, name: str, folder: Path, *, under: str | None = None) -> str:
    """A version of `name` whose artifacts are the folder's files; `champion` points at it."""
    run_id = runs.start_release(uri, build_config(f"train-{name}"))
    with connection(uri) as client:
        client.log_artifacts(run_id, str(folder), "/".join(filter(None, ("fp32", under))))
        ensure_registered_model(client, name)
        source = f"{client.get_run(run_id).info.artifact_uri}/fp32"
        version = str(client.create_model_version(name, source=source, run_id=run_id).version)
        client.set_registered_model_alias(name, "champion", version)
    return version


def fetched(uri: str, config: RegisteredModel, folder: Path) -> set[str]:
    folder.mkdir()
    fetch_source(uri, resolve_source(uri, config), config, folder)
    return {path.name for path in folder.iterdir()}


def test_alias_and_version_lead_to_the_files_that_paddle_reads(
    uri: str, name: str, export: Path, tmp_path: Path
) -> None:
    assert register(uri, name, export) == "1"
    by_alias = RegisteredModel(registered=f"models:/{name}@champion")
    assert resolve_source(uri, by_alias).uri == f"models:/{name}/1"
    assert fetched(uri, by_alias, tmp_path / "a") == {"model.pdmodel", "model.pdiparams"}
    by_version = RegisteredModel(registered=f"models:/{name}/1")
    assert fetched(uri, by_version, tmp_path / "b") == {"model.pdmodel", "model.pdiparams"}
    assert (
        find_model(ModelFiles(path=tmp_path / "a")).source_digest
        == find_model(ModelFiles(path=export)).source_digest
    )


def test_folder_of_the_artifacts_is_taken_alone(uri: str, name: str, export: Path, tmp_path: Path) -> None:
    register(uri, name, export, under="deep/export")
    config = RegisteredModel(registered=f"models:/{name}@champion", folder="deep/export")
    assert fetched(uri, config, tmp_path / "a") == {"model.pdmodel", "model.pdiparams"}
    with pytest.raises(RegistryError, match="no files"):
        fetched(uri, RegisteredModel(registered=f"models:/{name}@champion"), tmp_path / "b")


@pytest.mark.parametrize("place", ["@champion", "/7"])
def test_version_that_is_not_there_says_so(uri: str, name: str, place: str) -> None:
    with pytest.raises(RegistryError, match="a registered version of the FP32 model"):
        resolve_source(uri, RegisteredModel(registered=f"models:/{name}{place}"))


@pytest.mark.parametrize("file", ["model.pdiparams", "python_model.pkl"])
def test_pickle_in_the_registry_is_refused_and_does_not_run(
    uri: str, name: str, export: Path, tmp_path: Path, file: str
) -> None:
    (export / file).write_bytes(pickle.dumps(Bomb(tmp_path / "gone off")))
    register(uri, name, export)
    with pytest.raises(RegistryError, match="is a pickle"):
        fetched(uri, RegisteredModel(registered=f"models:/{name}@champion"), tmp_path / "a")
    assert not (tmp_path / "gone off").exists()


def test_version_without_a_paddle_program_is_refused(
    uri: str, name: str, export: Path, tmp_path: Path
) -> None:
    (export / "model.pdmodel").rename(export / "model.onnx")
    register(uri, name, export)
    fetched(uri, RegisteredModel(registered=f"models:/{name}@champion"), tmp_path / "a")
    with pytest.raises(ModelFormatError, match="no Paddle program"):
        find_model(ModelFiles(path=tmp_path / "a"))


@pytest.mark.parametrize(
    ("status", "released"),
    [(RunStatus.FINISHED, True), (RunStatus.FAILED, False), (RunStatus.KILLED, False), (None, False)],
)
def test_version_is_released_when_a_run_of_it_came_to_a_verdict(
    uri: str, name: str, status: RunStatus | None, released: bool
) -> None:
    run_id = runs.start_release(uri, build_config(name))
    runs.log_tags(uri, run_id, SourceVersion(model="fp32", version="3").tags)
    if status:
        runs.finish(uri, run_id, status)
    with connection(uri) as client:
        assert is_released(client, name, SourceVersion(model="fp32", version="3")) is released
        assert not is_released(client, name, SourceVersion(model="fp32", version="4"))
        assert not is_released(client, f"{name}-2", SourceVersion(model="fp32", version="3"))
