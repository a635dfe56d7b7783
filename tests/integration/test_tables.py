"""The tables that are laid into new databases are those that the packages' own migrations make."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from paddle_int8.flows.cli.embedded import surroundings, tables
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.tracking.connection import connection
from tests import databases

PACKAGES = ("prefect", "mlflow")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new one, of a user who has set no server."""
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "PREFECT_HOME", *surroundings.PREFECT_DATABASE):
        monkeypatch.setenv(name, "")  # so that what `prepare` sets is undone
        monkeypatch.delenv(name)
    for name in surroundings.QUIET:
        monkeypatch.setenv(name, surroundings.QUIET[name])
    monkeypatch.setenv("PREFECT_RESULTS_LOCAL_STORAGE_PATH", str(tmp_path / "results"))
    monkeypatch.setenv("PADDLE_INT8_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("package", PACKAGES)
def test_tables_are_those_of_the_migrations_of_the_installed_version(package: str, tmp_path: Path) -> None:
    laid = tmp_path / f"{package}.db"
    assert tables.lay(package, laid), "run `make tables`"
    made = databases.migrated(package) / laid.name
    assert _sorted(laid) == _sorted(made), "run `make tables`"


def test_new_home_has_both_databases_before_a_server_starts(home: Path) -> None:
    surroundings.prepare(Settings())
    for path, table in ((home / "prefect" / "prefect.db", "flow_run"), (home / "mlflow.db", "runs")):
        with closing(sqlite3.connect(path)) as opened:
            assert opened.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert sorted(each.name for each in home.iterdir() if each.name.startswith(".tables")) == []


def test_mlflow_opens_the_laid_database_without_changing_its_tables(home: Path) -> None:
    settings = Settings()
    surroundings.prepare(settings)
    before = list(tables.statements(home / "mlflow.db"))
    with connection(settings.tracking_uri) as client:
        assert client.get_experiment_by_name("Default") is not None
        client.create_run(client.create_experiment("one"))
    assert list(tables.statements(home / "mlflow.db")) == before


def test_database_that_is_there_is_left_alone(home: Path) -> None:
    home.mkdir()
    (home / "mlflow.db").write_bytes(b"mine")
    assert not tables.lay("mlflow", home / "mlflow.db")
    assert (home / "mlflow.db").read_bytes() == b"mine"


def test_version_without_tables_of_its_own_is_left_to_its_migrations(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "version", lambda _package: "0.0.1")
    assert not tables.lay("mlflow", home / "mlflow.db")
    assert not home.exists()


def _sorted(database: Path) -> list[list[str]]:
    """Its statements. The migrations make some indexes and constraints in the order of a set."""
    return sorted(sorted(re.split(r",?\s*\n\s*", each)) for each in tables.statements(database))
