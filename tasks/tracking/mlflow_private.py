"""The only module that uses what is not public in MLflow.

Each function looks for what it uses before its first use, so that another MLflow is refused at once instead
of behaving differently. docs/upgrading.md says what to check. Importing this module does not load MLflow.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from paddle_int8.tasks.contracts.borrowed import Borrowed

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

FIRST_QUESTION = "/api/2.0/mlflow/experiments/search"

MLFLOW = Borrowed(
    package="mlflow",
    release="3.17",
    adapter="tasks/tracking/mlflow_private.py",
    names={
        "mlflow:MlflowClient": ("_get_registry_client",),
        "mlflow.store.artifact.artifact_repo:ArtifactRepository": ("download_artifacts", "list_artifacts"),
        "mlflow.store.artifact.artifact_repository_registry": ("get_artifact_repository",),
        "mlflow.utils.credentials": ("get_default_host_creds",),
        "mlflow.utils.rest_utils": ("http_request_safe",),
    },
)


@cache
def require_tested_mlflow() -> None:
    """Refuses an MLflow that was not tested.

    Raises: InstallationError for another version, or when it lacks something that is used here.
    """
    MLFLOW.require()


def open_registry(client: MlflowClient) -> None:
    """Makes the registry's tables now; the client would make them at its first question to the registry."""
    require_tested_mlflow()
    client._get_registry_client()  # type: ignore[no-untyped-call]


def ask(uri: str, timeout_s: float) -> None:
    """Asks the server at `uri` one cheap question, once, with MLflow's own certificates, tokens and proxies.

    Raises: MlflowException when it does not answer, or not as MLflow does.
    """
    require_tested_mlflow()
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request_safe

    http_request_safe(  # type: ignore[no-untyped-call]
        get_default_host_creds(uri),  # type: ignore[no-untyped-call]
        FIRST_QUESTION,
        "GET",
        params={"max_results": 1},
        max_retries=0,
        timeout=timeout_s,
    )


def artifact_repository(uri: str, *, tracking_uri: str, registry_uri: str) -> ArtifactRepository:
    """The repository of the artifacts at `uri`. A server that proxies them is asked at `tracking_uri`."""
    require_tested_mlflow()
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri, tracking_uri=tracking_uri, registry_uri=registry_uri)
