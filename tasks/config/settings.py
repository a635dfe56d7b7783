"""The settings of a host: its folders and servers.

They are read from the variables `PADDLE_INT8_*`, and from those that MLflow and Prefect define themselves.
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
    """The settings of this host, read from the environment each time an object is made."""

    data: Path = Field(
        default=Path("data"), description="Folder of the models and corpora that `make data` fetches."
    )
    shared_store: str | None = Field(
        default=None,
        description="fsspec URL (s3://bucket/prefix) of the storage through which hosts share artifacts.",
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
        default=Path("configs"),
        description="Folder of the release configurations; the receiver starts those that follow a "
        "registered FP32 model.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="Secret shared with MLflow, which signs its webhooks with it."
    )
    webhook_url: str | None = Field(
        default=None,
        description="Public URL of the webhook receiver. If it is set, the receiver registers itself "
        "with MLflow under it.",
    )
    lock_folder: Path | None = Field(
        default=None,
        description="Folder of the lock by which measurements on one host take turns; all its containers "
        "must share it.",
    )
    parallel_candidates: int = Field(
        default=2,
        ge=1,
        description="How many quantizations, or trainings of the published table, run at the same time "
        "on this host.",
    )
    allowed_callables: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(
            "paddle_int8.zoo",
            "paddle_int8.tasks.data.metrics",
        ),
        description="Packages and modules, comma-separated, whose functions a flow run of a server may name.",
    )
    runtimes: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(".venv-paddle3/bin/python",),
        description="Pythons, comma-separated, of the environments with the versions of Paddle that "
        "`validation.runtimes` names. `make paddle3` makes the first.",
    )
    notify_url: SecretStr | None = Field(
        default=None, description="URL of a webhook that is called on failures, rejections and promotions."
    )
    flow_run_id: str | None = Field(default=None, validation_alias="PREFECT__FLOW_RUN_ID")

    def __init__(self, **values: Any) -> None:
        """Reads the variables of the environment. Raises: ConfigError when one has a wrong value."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            from paddle_int8.tasks.config.messages import variable_error

            raise variable_error(error, type(self)) from error

    @field_validator("allowed_callables", "runtimes", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        names = value.split(",") if isinstance(value, str) else value
        return tuple(filter(None, map(str.strip, names))) if isinstance(names, list) else names

    @property
    def served(self) -> bool:
        """Whether a Prefect server had this process started, rather than a person at the command line."""
        return self.flow_run_id is not None

    dask_scheduler: str | None = Field(
        default=None, description="Address of the Dask scheduler whose workers build the candidates."
    )

    def elsewhere(self) -> dict[str, str]:
        """Environment variables with which a process started in another folder uses the same folders."""
        return {"PADDLE_INT8_HOME": str(self.root), "PADDLE_INT8_DATA": str(self.data.resolve())}

    @property
    def prefect_home(self) -> Path:
        return self.root / "prefect"

    @property
    def tracking_uri(self) -> str:
        """URL of MLflow: the configured server, or else the embedded SQLite database in home.

        Raises: ConfigError when that database would lie in a folder that no URL can name.
        """
        if self.mlflow_tracking_uri:
            return self.mlflow_tracking_uri
        self.require_home_for_databases()
        return f"sqlite:///{self.root / 'mlflow.db'}"

    def require_home_for_databases(self) -> None:
        """Checks that the path of home can stand in a database's URL.

        SQLAlchemy (`sqlalchemy.engine.url`, 2.0) reads the path in a URL up to the first `?`.
        Raises: ConfigError when the path contains a `?`.
        """
        if "?" in str(self.root):
            raise ConfigError(
                found=f"a question mark in the path {self.root}",
                required="a home whose path can stand in a database's URL",
                remedy="set PADDLE_INT8_HOME to a folder without `?`, or both MLFLOW_TRACKING_URI and "
                "PREFECT_API_URL to servers",
            )

    def require_prefect_server(self) -> None:
        """Requires the address of a Prefect server. Raises: ConfigError when none is set."""
        if self.prefect_api_url is None:
            raise ConfigError(
                found="no PREFECT_API_URL",
                required="the address of a Prefect server that stays",
                remedy="start one (`prefect server start`) and set PREFECT_API_URL=http://127.0.0.1:4200/api",
            )
