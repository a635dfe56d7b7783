"""A Prefect server that dies under a release, and is started again on the same database."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.command_line import release_command, variables
from tests.e2e.crashes import computed
from tests.e2e.servers import free_port, kill_all_of, prefect_server, wait_until
from tests.e2e.small_inputs import SmallInputs

pytestmark = [pytest.mark.paddle, pytest.mark.sweep]


def test_release_outlives_its_server_which_is_killed_and_started_again(
    inputs: SmallInputs, tmp_path: Path
) -> None:
    config = inputs.approvable(tmp_path / "release.yaml", "outlives")
    home, port = tmp_path / "home", free_port()
    with prefect_server(tmp_path, port=port) as server:
        release = subprocess.Popen(
            release_command(config, "--json"),
            env=variables(home, PREFECT_API_URL=f"{server.url}/api"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: list(home.glob("logs/*/quantize-*.log")), bool, seconds=120, what="a candidate")
        kill_all_of(server.process)
    with prefect_server(tmp_path, port=port) as server:
        said, complained = release.communicate(timeout=400)
        assert release.returncode == 0, complained
        (run,) = server.ask("flow_runs/filter", {})
    assert run["state_type"] == "COMPLETED"
    assert json.loads(said)["outcome"] == "approved"
    assert set(computed(home).values()) == {1}, "a step was computed twice"
    assert "Traceback" not in complained
    assert "ConnectError" not in complained
