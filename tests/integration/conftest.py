"""What the integration tests share."""

from __future__ import annotations

import pytest

from tasks.artifacts import HostProfile
from tasks.hardware.profile import host_profile
from tasks.process import run_isolated
from tests.integration.small_release import SmallRelease, build


@pytest.fixture(scope="session")
def small_release(tmp_path_factory: pytest.TempPathFactory) -> SmallRelease:
    """A small real model, quantized both ways, and its validation data."""
    folder = tmp_path_factory.mktemp("small_release")
    return run_isolated(build, folder, step="build", log=folder / "build.log", timeout_s=300)


@pytest.fixture(scope="session")
def host() -> HostProfile:
    """The machine the tests run on, whichever it is."""
    return host_profile()
