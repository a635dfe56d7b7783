"""A machine fails during a flow run, so that nothing of the run is left to report it."""

from __future__ import annotations

import time

import pytest
import yaml

from paddle_int8.flows.server.automations.lost_heartbeat import LOST_AFTER_S, MESSAGE
from tests.e2e.servers import ENDED, PrefectServer, kill_all_of, wait_until, worker
from tests.e2e.small_inputs import SmallInputs

pytestmark = [pytest.mark.paddle, pytest.mark.sweep]


def test_run_whose_worker_and_process_were_killed_is_crashed_by_the_automation(
    deployed: PrefectServer, inputs: SmallInputs
) -> None:
    path = inputs.config(deployed.folder / "long.yaml", "long", validation={"repeats": 100_000})
    run_id = deployed.start("release", {"config": yaml.safe_load(path.read_text(encoding="utf-8"))})
    with worker(deployed) as process:
        wait_until(
            lambda: deployed.run(run_id), lambda run: run["state_type"] == "RUNNING", seconds=240, what="it"
        )
        time.sleep(10)  # its first heartbeat is on its way
        kill_all_of(process)
    ended = wait_until(
        lambda: deployed.run(run_id),
        lambda run: run["state_type"] in ENDED,
        seconds=2 * LOST_AFTER_S,
        what="the end",
    )
    assert ended["state_type"] == "CRASHED"
    assert ended["state"]["message"] == MESSAGE
