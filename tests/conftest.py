"""Fixtures for all tests: one Prefect server, which is started when the first test needs it."""

from __future__ import annotations

import atexit
from collections.abc import Iterator

import hypothesis
import pytest

from paddle_int8.tasks.process.pace import slowness
from tests.shared import share_below

# An example's own time says how loaded the machine is, so no drawn example fails for it.
hypothesis.settings.register_profile(
    "loaded", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("loaded")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The limit on every test is for the reference host too."""
    if config.getoption("timeout") is not None:  # given on the command line
        return
    stretch = slowness()
    for item in items:
        own = item.get_closest_marker("timeout")
        seconds = float(own.args[0] if own else config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(stretch * seconds), append=False)


@pytest.fixture(scope="session", autouse=True)
def _shared(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> None:
    share_below(tmp_path_factory, pytestconfig)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real temporary server, the program's own, for every flow that this process runs; its address."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from paddle_int8.flows.cli.embedded import temporary_server
    from paddle_int8.flows.cli.embedded.surroundings import QUIET
    from tests import databases

    home = tmp_path_factory.mktemp("prefect_server")
    databases.used(home)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (QUIET | {"PREFECT_HOME": str(home / "prefect")}).items():
            patch.setenv(name, value)
        server = temporary_server.start(home / "server.log")
    atexit.register(server.stop)  # after Prefect has sent it the last logs, see `surroundings.start_prefect`
    server.wait_until_ready()
    with temporary_settings(updates={PREFECT_API_URL: f"{server.address}/api"}):
        yield str(PREFECT_API_URL.value())
