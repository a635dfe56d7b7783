"""Runs the installed program as a user does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests import databases

SERVERS = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL")


def release_command(config: Path, *options: str) -> list[str]:
    return [str(Path(sys.executable).with_name("paddle-int8")), "release", str(config), *options]


def variables(home: Path, **more: str) -> dict[str, str]:
    """`new_home`'s, with a `home` that was used before."""
    databases.used(home)
    return new_home(home, **more)


def new_home(home: Path, **more: str) -> dict[str, str]:
    """This process's environment, with its `home` and without servers."""
    inherited = {name: value for name, value in os.environ.items() if name not in SERVERS}
    return inherited | {"PADDLE_INT8_HOME": str(home), "COLUMNS": "200"} | more
