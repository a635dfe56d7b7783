"""What the end-to-end tests share: small inputs, one Prefect server, one MLflow database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasks.process import run_isolated
from tests.e2e.small_inputs import SmallInputs, export, save_data


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> SmallInputs:
    folder = tmp_path_factory.mktemp("inputs")
    run_isolated(export, folder, step="export", log=folder / "export.log", timeout_s=300)
    save_data(folder / "calibration.npz", 16, seed=1)
    save_data(folder / "validation.npz", 40, seed=2)
    return SmallInputs(folder=folder)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A real temporary server for every flow that this process runs."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
