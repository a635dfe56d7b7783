"""A release killed with `kill -9` again and again ends as if nothing had happened."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.command_line import variables
from tests.e2e.crashes import computed, kill, release, verdict
from tests.e2e.records import embedded_flow_states, read_runs
from tests.e2e.small_inputs import SmallInputs

pytestmark = pytest.mark.paddle

QUANTIZE, GATE = "quantize abs_max-offline", "gate abs_max-offline"
KILLS = (("open MLflow run", "1"), (QUANTIZE, "2"), (GATE, "1"), ("register", "end"))


def test_release_killed_at_step_after_step_resumes_to_the_same_verdict(
    inputs: SmallInputs, tmp_path: Path, temporary: Path
) -> None:
    config = inputs.approvable(tmp_path / "release.yaml", "killed")
    whole = release(config, variables(tmp_path / "whole"))
    home = tmp_path / "home"
    environment = variables(home, TMPDIR=str(temporary))
    for step, report in KILLS:
        kill(config, step, report, environment)
    resumed = release(config, environment)

    assert verdict(resumed) == verdict(whole)
    assert computed(home) == computed(tmp_path / "whole"), "a finished step was computed anew"
    assert sorted(embedded_flow_states(home)) == ["COMPLETED", *["CRASHED"] * len(KILLS)]
    runs = read_runs(f"sqlite:///{home / 'mlflow.db'}", "killed")
    parents = Counter(run.info.status for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert parents == {"FINISHED": 1, "KILLED": len(KILLS)}
    assert "RUNNING" not in {run.info.status for run in runs}
    assert resumed["registered"]["version"] == "1"
    assert not [path for path in temporary.iterdir() if path.is_dir()]
    assert not list((home / "artifacts" / "scratch").glob("*/*"))
