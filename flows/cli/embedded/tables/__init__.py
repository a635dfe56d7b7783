"""Lays the tables of Prefect and MLflow into new SQLite databases, instead of running all their migrations.

Each of the two creates a new database by running every migration that it ever had, one after another. That
took almost a third of the start of a first release. The files beside this module hold what the migrations end
with, for one version of each package; with another version, the migrations run as ever.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent
OWN_ROWS = ("alembic_version", "workspaces")
"""Tables whose rows are part of a new database; all others are filled by the packages when they run."""


def lay(package: str, database: Path) -> bool:
    """Creates `database`, unless there is one. Returns whether it did.

    The file appears whole or not at all, so that several programs may do this at once.
    """
    tables = FOLDER / f"{package}-{version(package)}.sql"
    if database.exists() or not tables.is_file():
        return False
    database.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tables-", dir=database.parent) as folder:
        made = Path(folder) / database.name
        with closing(sqlite3.connect(made)) as opened:
            opened.executescript(tables.read_text(encoding="utf-8"))
        with suppress(FileExistsError):  # another program was faster
            os.link(made, database)
            return True
    return False


def statements(database: Path) -> Iterator[str]:
    """The statements that make a new database like `database`, which the migrations have made."""
    with closing(sqlite3.connect(database)) as opened:
        for statement in opened.iterdump():
            if not statement.startswith("INSERT") or statement.split('"')[1] in OWN_ROWS:
                yield statement
