"""What is taken from MLflow's inside is there, and its absence is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.errors import InstallationError
from paddle_int8.tasks.tracking import mlflow_private
from paddle_int8.tasks.tracking.connection import connection


def test_registry_of_a_new_database_has_its_tables_once_there_is_a_client(tmp_path: Path) -> None:
    with connection(f"sqlite:///{tmp_path}/mlflow.db") as client:
        assert list(client.search_registered_models()) == []
        mlflow_private.MLFLOW.require()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("mlflow.utils.rest_utils", "http_request_safe"),
        ("mlflow.utils.credentials", "get_default_host_creds"),
        ("mlflow.store.artifact.artifact_repository_registry", "get_artifact_repository"),
    ],
)
def test_mlflow_without_a_name_is_refused(module: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(f"{module}.{name}")
    with pytest.raises(InstallationError, match=f"without {module}.{name}"):
        mlflow_private.MLFLOW.require()


def test_mlflow_client_without_its_registry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("mlflow.MlflowClient._get_registry_client")
    with pytest.raises(InstallationError, match=r"without mlflow:MlflowClient\._get_registry_client"):
        mlflow_private.MLFLOW.require()
