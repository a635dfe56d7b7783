"""Fixtures for the end-to-end tests: small inputs, a Prefect server that stays up, one MLflow database."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from paddle_int8.tasks.process.isolated import run_isolated
from tests import databases
from tests.e2e.ground import Ground
from tests.e2e.hurried import hurried
from tests.e2e.servers import ROOT, PrefectServer, worker
from tests.e2e.servers import prefect_server as running_server
from tests.e2e.small_inputs import SmallInputs, export, save_data, teach
from tests.e2e.webhook import Webhook, webhook
from tests.shared import made_once


@pytest.fixture(scope="session")
def inputs() -> SmallInputs:
    return SmallInputs(folder=made_once("inputs", _make_inputs))


def _make_inputs(folder: Path) -> None:
    run_isolated(export, folder, step="export", log=folder / "export.log", timeout_s=300)
    run_isolated(teach, folder, step="teach", log=folder / "teach.log", timeout_s=300)
    save_data(folder / "calibration.npz", 16, seed=1)
    save_data(folder / "validation.npz", 40, seed=2)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files; its path is short, since sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return databases.mlflow_in(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture
def ground_at(
    inputs: SmallInputs,
    prefect_server: str,
    tracking_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[Path], Ground]]:
    """Makes the ground of a release whose home is the given folder."""
    from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

    with ExitStack() as settings:

        def make(home: Path) -> Ground:
            monkeypatch.setenv("PADDLE_INT8_HOME", str(home))
            monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
            results = {PREFECT_LOCAL_STORAGE_PATH: home / "artifacts" / "results"}
            settings.enter_context(temporary_settings(updates=results))
            return Ground(inputs=inputs, folder=tmp_path, home=home, tracking_uri=tracking_uri)

        yield make


@pytest.fixture
def ground(ground_at: Callable[[Path], Ground], tmp_path: Path) -> Ground:
    """A release with a home of its own."""
    return ground_at(tmp_path / "home")


@pytest.fixture
def warm_ground(ground_at: Callable[[Path], Ground], tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """A release in a home that the tests share, so that equal steps are taken from the cache."""
    return ground_at(tmp_path_factory.getbasetemp() / "warm_home")


@pytest.fixture(scope="session")
def told() -> Iterator[Webhook]:
    """The webhook of the server that stays."""
    with webhook() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def deployed(
    inputs: SmallInputs, told: Webhook, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    """A server that stays, with all of `prefect.yaml` on it; night comes soon."""
    folder = tmp_path_factory.mktemp("server")
    variables = {
        "PADDLE_INT8_HOME": str(folder / "home"),
        "PADDLE_INT8_NOTIFY_URL": told.url,
        "PADDLE_INT8_ALLOWED_CALLABLES": "paddle_int8.zoo,tests.e2e",
        "PYTHONPATH": str(ROOT),
    }
    with running_server(folder, **variables) as server:
        server.deploy(hurried(inputs, folder))
        yield server


@pytest.fixture(scope="session")
def working(deployed: PrefectServer) -> Iterator[PrefectServer]:
    """The server with a worker that runs two flow runs at a time."""
    with worker(deployed, "--limit", "2"):
        yield deployed
