"""Provides Prefect's and MLflow's databases as in a home that was used before.

Making them takes ten seconds of CPU, so they are kept for each version of the two. test_temporary_server and
test_tracking check that they are made rightly where there are none.
"""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path

from paddle_int8.flows.cli.embedded.tables.migrated import MAKERS
from tests.shared import made_once

MLFLOW = "mlflow.db"


def used(home: Path) -> None:
    """Puts them into `home`, unless it is there already."""
    if not (home / "prefect").exists():
        shutil.copytree(migrated("prefect"), home / "prefect")
        mlflow_in(home)


def mlflow_in(folder: Path) -> str:
    """The address of a database of MLflow's without runs, in `folder`, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in migrated("mlflow").glob(f"{MLFLOW}*"):
        shutil.copy(path, folder)
    return address(folder)


def address(folder: Path) -> str:
    return f"sqlite:///{folder / MLFLOW}"


def migrated(package: str) -> Path:
    """The folder of a database that the package's own migrations have made."""
    return made_once(f"{package}-{version(package)}", MAKERS[package], kept=True)
