"""Fixtures for all tests: one Prefect server, which is started when the first test needs it."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from paddle_int8.tasks.process.pace import slowness
from tests.patience import allowed

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


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """A real temporary server for every flow that this process runs; its address."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=int(allowed(180))):
        yield str(PREFECT_API_URL.value())
