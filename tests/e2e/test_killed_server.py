"""A Prefect server dies during a release, once or at every step, and returns on the same database."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command_line import release_command, variables
from tests.e2e.crashes import ROOT, STEPS, computed
from tests.e2e.servers import (
    PrefectServer,
    free_port,
    is_dead,
    kill_all_of,
    prefect_server,
    wait_until,
)
from tests.e2e.small_inputs import SmallInputs
from tests.patience import allowed

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
        said, complained = release.communicate(timeout=allowed(400))
        assert release.returncode == 0, complained
        (run,) = server.ask("flow_runs/filter", {})
    assert run["state_type"] == "COMPLETED"
    assert json.loads(said)["outcome"] == "approved"
    assert set(computed(home).values()) == {1}, "a step was computed twice"
    assert "Traceback" not in complained
    assert "ConnectError" not in complained


@pytest.mark.timeout(1800)
def test_release_outlives_its_server_which_is_killed_at_every_step(
    inputs: SmallInputs, tmp_path: Path
) -> None:
    config = inputs.approvable(tmp_path / "release.yaml", "besieged")
    home, port, number = tmp_path / "home", free_port(), tmp_path / "server.pid"
    command = [sys.executable, "-W", "ignore", "-m", "tests.e2e.unserved_release", str(config), str(number)]
    environment = variables(home, PREFECT_API_URL=f"http://127.0.0.1:{port}/api")
    servers = 0
    with (tmp_path / "said").open("w+") as said, (tmp_path / "complained").open("w+") as complained:
        with prefect_server(tmp_path, port=port) as server:
            number.write_text(str(server.process.pid), encoding="ascii")
            release = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=complained)
            wait_for_either(release, server)
        while release.poll() is None:
            with prefect_server(tmp_path, port=port) as server:
                servers += 1
                number.write_text(str(server.process.pid), encoding="ascii")
                wait_for_either(release, server)
        with prefect_server(tmp_path, port=port) as server:
            (run,) = server.ask("flow_runs/filter", {})
        said.seek(0)
        complained.seek(0)
        assert release.returncode == 0, complained.read()
        document = json.load(said)
    assert servers == 2 * len(STEPS)
    assert run["state_type"] == "COMPLETED"
    assert document["outcome"] == "approved"
    assert set(computed(home).values()) == {1}, "a step was computed twice"


def wait_for_either(release: subprocess.Popen[bytes], server: PrefectServer) -> None:
    wait_until(
        lambda: release.poll() is not None or is_dead(server.process),
        bool,
        seconds=300,
        what="the end of the release, or of its server",
    )
