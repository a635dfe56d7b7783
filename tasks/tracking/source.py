"""Fetches a trained FP32 model from the registry: finds the version, and downloads Paddle's files of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from paddle_int8.tasks.config.model import RegisteredModel
from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.tracking.download import download, repository

if TYPE_CHECKING:
    from mlflow import MlflowClient

METADATA = frozenset(
    {
        "MLmodel",
        "conda.yaml",
        "python_env.yaml",
        "requirements.txt",
        "registered_model_meta",
        "model_data.yaml",
    }
)
"""Files that MLflow itself adds to a model."""
TRAINING_INFO = ".pdiparams.info"
SOURCE_MODEL, SOURCE_VERSION = "source_model", "source_version"
"""Tags of a release's run that name the registered version that the release started from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceVersion:
    """A version of a registered FP32 model."""

    model: str
    version: str

    @property
    def uri(self) -> str:
        return f"models:/{self.model}/{self.version}"

    @property
    def tags(self) -> dict[str, str]:
        return {SOURCE_MODEL: self.model, SOURCE_VERSION: self.version}


def model_and_alias(registered: str) -> tuple[str, str | None]:
    """The name and the alias in `models:/name@alias`; in `models:/name/version` the alias is None."""
    name, _, alias = registered.removeprefix("models:/").partition("@")
    return (name, alias) if alias else (name.rpartition("/")[0], None)


def resolve_source(tracking_uri: str, config: RegisteredModel) -> SourceVersion:
    """The version that the configuration names, or that its alias points at now.

    Raises: RegistryError when there is no such version, or MLflow refuses.
    """
    from mlflow.exceptions import MlflowException

    name, alias = model_and_alias(config.registered)
    with connection(tracking_uri) as client:
        try:
            found = (
                client.get_model_version_by_alias(name, alias)
                if alias
                else client.get_model_version(name, config.registered.rpartition("/")[2])
            )
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise RegistryError(
                found=f"no {config.registered} in the registry",
                required="a registered version of the FP32 model",
                remedy="register one, or correct `model.registered`; a renamed model has its new name only",
            ) from error
    return SourceVersion(model=name, version=str(found.version))


def fetch_source(tracking_uri: str, source: SourceVersion, config: RegisteredModel, folder: Path) -> Path:
    """Downloads the version's files that lie directly in `config.folder` to the empty folder `folder`.

    Raises: RegistryError when there are no files, or one is a pickle or leads out of the artifacts.
    """
    with connection(tracking_uri) as client:
        uri = client.get_model_version_download_uri(source.model, source.version)
        download(repository(uri, tracking_uri), config.folder, folder, wanted=_is_file_of_paddle)
    if not any(folder.iterdir()):
        raise RegistryError(
            found=f"no files in {source.uri}" + (f", folder {config.folder}" if config.folder else ""),
            required="the model's .pdmodel or .json and its .pdiparams, or __model__ and its parameters",
            remedy="log Paddle's own files as artifacts of the version; `model.folder` names their folder",
        )
    return folder


def is_released(client: MlflowClient, release: str, source: SourceVersion) -> bool:
    """Whether a release of this name has come to a verdict on the version, whatever the verdict is."""
    experiment = client.get_experiment_by_name(release)
    if experiment is None:
        return False
    wanted = " and ".join(f"tags.{name} = '{value}'" for name, value in source.tags.items())
    finished = f"{wanted} and attributes.status = 'FINISHED'"
    return bool(client.search_runs([experiment.experiment_id], finished, max_results=1))


def _is_file_of_paddle(name: PurePosixPath) -> bool:
    """Whether serving needs the file.

    `.pdiparams.info`, which `paddle.jit.save` adds, is a pickle that only training needs.
    """
    return len(name.parts) == 1 and name.name not in METADATA and not name.name.endswith(TRAINING_INFO)
