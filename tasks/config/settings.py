"""Where things are: folders and servers, read from `PADDLE_INT8_*` and the usual variables.

Only this module and `tasks.contracts.home` read the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode

from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.home import Home


class Settings(Home):
    data: Path = Field(default=Path("data"), description="Fetched models and corpora.")
    shared_store: str | None = Field(
        default=None, description="fsspec URL (s3://bucket/prefix) through which hosts share artifacts."
    )
    mlflow_tracking_uri: str | None = Field(
        default=None,
        validation_alias="MLFLOW_TRACKING_URI",
        description="The MLflow server; without it, a SQLite database in the home.",
    )
    mlflow_registry_uri: str | None = Field(
        default=None,
        validation_alias="MLFLOW_REGISTRY_URI",
        description="Another MLflow server for registered models; without it, they are with the runs.",
    )
    prefect_api_url: str | None = Field(
        default=None,
        validation_alias="PREFECT_API_URL",
        description="The Prefect server; without it, each command starts a temporary one.",
    )
    configs: Path = Field(
        default=Path("configs"), description="Folder of the releases that follow registered FP32 models."
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="Shared with MLflow, which signs its webhooks with it."
    )
    webhook_url: str | None = Field(
        default=None,
        description="Where MLflow reaches the receiver, which has MLflow send its webhooks there.",
    )
    lock_folder: Path | None = Field(
        default=None,
        description="Folder of the lock that has measurements on a host take turns; one for all containers.",
    )
    parallel_candidates: int = Field(
        default=2, ge=1, description="Quantizations, or a table's trainings, at a time on this host."
    )
    allowed_callables: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(
            "paddle_int8.zoo",
            "paddle_int8.tasks.data.metrics",
        ),
        description="Packages and modules, comma-separated, whose functions a flow run of a server may name.",
    )
    notify_url: SecretStr | None = Field(
        default=None, description="Webhook that is told of failures, rejections and promotions."
    )
    flow_run_id: str | None = Field(default=None, validation_alias="PREFECT__FLOW_RUN_ID")

    def __init__(self, **values: Any) -> None:
        """Raises: ConfigError when a variable of the environment has a wrong value."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            from paddle_int8.tasks.config.messages import variable_error

            raise variable_error(error, type(self)) from error

    @field_validator("allowed_callables", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        names = value.split(",") if isinstance(value, str) else value
        return tuple(filter(None, map(str.strip, names))) if isinstance(names, list) else names

    @property
    def served(self) -> bool:
        """Whether a Prefect server had this process started, and not the person in front of it."""
        return self.flow_run_id is not None

    dask_scheduler: str | None = Field(
        default=None, description="Address of the Dask scheduler whose workers build the candidates."
    )

    def elsewhere(self) -> dict[str, str]:
        """Environment that gives a process in another folder the same places."""
        return {"PADDLE_INT8_HOME": str(self.root), "PADDLE_INT8_DATA": str(self.data.resolve())}

    @property
    def prefect_home(self) -> Path:
        return self.root / "prefect"

    @property
    def tracking_uri(self) -> str:
        """Raises: ConfigError when the embedded database would lie in a folder that no URL can name."""
        if self.mlflow_tracking_uri:
            return self.mlflow_tracking_uri
        self.require_home_for_databases()
        return f"sqlite:///{self.root / 'mlflow.db'}"

    def require_home_for_databases(self) -> None:
        """Raises: ConfigError when home's path holds what ends the path in a database's URL.

        SQLAlchemy (`sqlalchemy.engine.url`, 2.0) takes a path as it stands, up to the first `?`.
        """
        if "?" in str(self.root):
            raise ConfigError(
                found=f"a question mark in the path {self.root}",
                required="a home whose path can stand in a database's URL",
                remedy="set PADDLE_INT8_HOME to a folder without `?`, or both MLFLOW_TRACKING_URI and "
                "PREFECT_API_URL to servers",
            )

    def require_prefect_server(self) -> None:
        """Raises: ConfigError when no Prefect server is set."""
        if self.prefect_api_url is None:
            raise ConfigError(
                found="no PREFECT_API_URL",
                required="the address of a Prefect server that stays",
                remedy="start one (`prefect server start`) and set PREFECT_API_URL=http://127.0.0.1:4200/api",
            )
