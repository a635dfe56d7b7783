"""Provides Prefect's and MLflow's databases as in a home that was used before.

Making them takes ten seconds of CPU in each new home. test_temporary_server and test_tracking check that they
are made correctly.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from paddle_int8.tasks.tracking.connection import connection


def used(home: Path) -> None:
    """Puts them into `home`, unless it is there already."""
    if not (home / "prefect").exists():
        shutil.copytree(_made(), home, dirs_exist_ok=True)


@cache
def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="databases-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    subprocess.run(
        command, env=environment | {"PREFECT_HOME": str(folder / "prefect")}, check=True, capture_output=True
    )
    with connection(f"sqlite:///{folder / 'mlflow.db'}"):
        return folder
