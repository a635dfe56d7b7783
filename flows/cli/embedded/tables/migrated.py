"""`make tables` writes the tables of the installed versions anew.

Their own migrations make each database, from nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from paddle_int8.flows.cli.embedded.tables import FOLDER, statements
from paddle_int8.tasks.tracking.connection import connection


def prefect(folder: Path) -> Path:
    """A new database of Prefect's server in `folder`, which becomes a home of Prefect's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    subprocess.run(command, env=environment | {"PREFECT_HOME": str(folder)}, check=True, capture_output=True)
    return folder / "prefect.db"


def mlflow(folder: Path) -> Path:
    """A new database of MLflow's in `folder`."""
    with connection(f"sqlite:///{folder / 'mlflow.db'}"):
        return folder / "mlflow.db"


MAKERS = {"prefect": prefect, "mlflow": mlflow}


def main() -> None:
    for package, make in MAKERS.items():
        with tempfile.TemporaryDirectory() as folder:
            text = "\n".join(statements(make(Path(folder)))) + "\n"
        for old in FOLDER.glob(f"{package}-*.sql"):
            old.unlink()
        (FOLDER / f"{package}-{version(package)}.sql").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
