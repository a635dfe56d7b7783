"""Provides Prefect's and MLflow's databases as in a home that was used before.

Making them takes ten seconds of CPU, so they are kept for each version of the two. test_temporary_server and
test_tracking check that they are made rightly where there are none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from paddle_int8.tasks.tracking.connection import connection
from tests.shared import made_once

MLFLOW = "mlflow.db"


def used(home: Path) -> None:
    """Puts them into `home`, unless it is there already."""
    if not (home / "prefect").exists():
        shutil.copytree(_made("prefect", _upgrade_prefect), home / "prefect")
        mlflow_in(home)


def mlflow_in(folder: Path) -> str:
    """The address of a database of MLflow's without runs, in `folder`, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in _made("mlflow", _open_mlflow).glob(f"{MLFLOW}*"):
        shutil.copy(path, folder)
    return address(folder)


def address(folder: Path) -> str:
    return f"sqlite:///{folder / MLFLOW}"


def _made(package: str, make: Callable[[Path], object]) -> Path:
    return made_once(f"{package}-{version(package)}", make, kept=True)


def _upgrade_prefect(folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    subprocess.run(command, env=environment | {"PREFECT_HOME": str(folder)}, check=True, capture_output=True)


def _open_mlflow(folder: Path) -> None:
    with connection(address(folder)):
        pass
