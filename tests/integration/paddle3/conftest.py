"""What Paddle 3 exported and answered, and what Paddle 2.6 makes of it: one process each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration.paddle3.environment import ONE_THREAD, PADDLE3, TIMEOUT_S, Environment, run_paddle3
from tests.integration.paddle3.run import Outcome, run_all


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Mapping[str, Outcome]]:
    """The outcome of every case of a module that Paddle 3 exports, by the case's name."""

    def run(
        module: str, variables: Mapping[str, str] | None = None, environment: Environment = PADDLE3
    ) -> Mapping[str, Outcome]:
        folder = tmp_path_factory.mktemp(module)
        run_paddle3("export.py", module, folder / "cases", variables=variables, environment=environment)
        log = folder / "log.txt"
        options = {"log": log, "timeout_s": TIMEOUT_S, "environment": ONE_THREAD}
        return run_isolated(run_all, folder / "cases", step="run", **options)

    return run
