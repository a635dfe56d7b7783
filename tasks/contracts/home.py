"""The folder in which a host keeps everything, read from `PADDLE_INT8_HOME`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Home(BaseSettings):
    """What paths of the store are relative to; `tasks.config.settings` has all other settings."""

    model_config = SettingsConfigDict(env_prefix="PADDLE_INT8_", frozen=True, extra="ignore")

    home: Path = Field(default=Path("var"), description="Artifacts and the embedded databases.")

    @property
    def root(self) -> Path:
        return self.home.expanduser().resolve()

    @property
    def store(self) -> Path:
        """Root of the content-addressed artifacts."""
        return self.root / "artifacts"
