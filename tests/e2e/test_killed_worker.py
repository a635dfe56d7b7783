"""A worker and its flow run die at every step of a release, and another worker completes it."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests import databases
from tests.e2e.crashes import STEPS, computed
from tests.e2e.records import read_runs
from tests.e2e.servers import PROJECT_FILE, PrefectServer, is_dead, wait_until, worker
from tests.e2e.small_inputs import SmallInputs

pytestmark = [pytest.mark.paddle, pytest.mark.sweep]

NAME, POOL = "struck", "skylake"
"""The pool is one that no other test's worker takes runs from."""


@pytest.mark.timeout(1800)
def test_release_whose_worker_is_killed_at_every_step_is_ended_by_the_last(
    deployed: PrefectServer, inputs: SmallInputs, tmp_path: Path, temporary: Path
) -> None:
    config = yaml.safe_load(inputs.approvable(tmp_path / "release.yaml", NAME).read_text(encoding="utf-8"))
    deployed.deploy(struck(tmp_path / PROJECT_FILE.name))
    home, tracking_uri = tmp_path / "home", databases.mlflow_in(tmp_path)
    host = {"PADDLE_INT8_HOME": str(home), "MLFLOW_TRACKING_URI": tracking_uri, "TMPDIR": str(temporary)}
    run = deployed.start(NAME, {"config": config})
    for step in STEPS:
        with worker(deployed, "--pool", POOL, **host, STRUCK_AT=step) as process:
            wait_until(partial(is_dead, process), bool, seconds=180, what=f"the death at {step}")
        deployed.retry(run)
    with worker(deployed, "--pool", POOL, **host):
        wait_until(
            lambda: deployed.run(run)["state_type"], "COMPLETED".__eq__, seconds=180, what="the release"
        )
    hit = Counter(step.split()[0] for step in STEPS)
    again = computed(home)
    assert not [step for step in again if again[step] > 1 + hit[step.split()[0]]]
    runs = read_runs(tracking_uri, NAME)
    assert ("FINISHED", "approved") in {(each.info.status, each.data.tags.get("outcome")) for each in runs}
    assert "RUNNING" not in {each.info.status for each in runs}


def struck(path: Path) -> Path:
    """The project's deployment of a release, whose process kills its worker where the environment says."""
    project = yaml.safe_load(PROJECT_FILE.read_text(encoding="utf-8"))
    (release,) = (each for each in project["deployments"] if each["name"] == f"release-{POOL}")
    release |= {"name": NAME, "entrypoint": "tests.e2e.struck_release.release"}
    path.write_text(yaml.safe_dump({"name": project["name"], "deployments": [release]}), encoding="utf-8")
    return path
