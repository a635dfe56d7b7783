"""Where things are: folders and servers, read from `PADDLE_INT8_*` and the usual variables.

The only module that reads the environment.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PADDLE_INT8_", frozen=True, extra="ignore")

    home: Path = Field(default=Path("var"), description="Artifacts and the embedded databases.")
    shared_store: str | None = Field(
        default=None, description="fsspec URL (s3://bucket/prefix) through which hosts share artifacts."
    )
    mlflow_tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")
    prefect_api_url: str | None = Field(default=None, validation_alias="PREFECT_API_URL")
    configs: Path = Field(
        default=Path("configs"), description="Folder of the releases that follow registered FP32 models."
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="Shared with MLflow, which signs its webhooks with it."
    )
    parallel_candidates: int = Field(
        default=2, ge=1, description="Quantization processes at a time on this host."
    )

    @property
    def root(self) -> Path:
        return self.home.expanduser().resolve()

    @property
    def store(self) -> Path:
        """Root of the content-addressed artifacts."""
        return self.root / "artifacts"

    @property
    def prefect_home(self) -> Path:
        return self.root / "prefect"

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_tracking_uri or f"sqlite:///{self.root / 'mlflow.db'}"
