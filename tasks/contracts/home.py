"""The folder in which a host keeps everything, read from `PADDLE_INT8_HOME`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Home(BaseSettings):
    """The folder that holds the store and all databases. `tasks.config.settings` has all other settings."""

    model_config = SettingsConfigDict(env_prefix="PADDLE_INT8_", frozen=True, extra="ignore")

    home: Path = Field(default=Path("var"), description="Folder of the artifacts and databases.")

    @property
    def root(self) -> Path:
        return self.home.expanduser().resolve()

    @property
    def store(self) -> Path:
        """The folder of the content-addressed artifacts."""
        return self.root / "artifacts"
