"""A release that is killed with `kill -9` again and again ends as if nothing had happened."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.command_line import variables
from tests.e2e.crashes import GATE, QUANTIZE, STEPS, computed, kill, release, verdict
from tests.e2e.records import embedded_flow_states, read_runs
from tests.e2e.small_inputs import SmallInputs

pytestmark = pytest.mark.paddle

MAIN = (("open MLflow run", "1"), (QUANTIZE, "3"), (GATE, "1"), ("register", "end"))
EVERY = tuple((step, report) for step in STEPS for report in ("1", "end"))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(MAIN, id="at the main points"),
        pytest.param(EVERY, id="at the beginning and the end of every step", marks=pytest.mark.sweep),
    ],
)
def test_release_killed_at_step_after_step_resumes_to_the_same_verdict(
    inputs: SmallInputs, tmp_path: Path, temporary: Path, kills: tuple[tuple[str, str], ...]
) -> None:
    config = inputs.approvable(tmp_path / "release.yaml", "killed")
    whole = release(config, variables(tmp_path / "whole"))
    home = tmp_path / "home"
    environment = variables(home, TMPDIR=str(temporary))
    for step, report in kills:
        kill(config, step, report, environment)
    resumed = release(config, environment)

    assert verdict(resumed) == verdict(whole)
    again, once = computed(home), computed(tmp_path / "whole")
    # a step's process may have ended when it was hit, with its result not kept
    hit = Counter(step.split()[0] for step, _ in kills)
    assert again.keys() == once.keys()
    assert not [step for step in again if again[step] > once[step] + hit[step.split()[0]]], (
        "a finished step was computed anew"
    )
    assert sorted(embedded_flow_states(home)) == ["COMPLETED", *["CRASHED"] * len(kills)]
    runs = read_runs(f"sqlite:///{home / 'mlflow.db'}", "killed")
    parents = Counter(run.info.status for run in runs if "mlflow.parentRunId" not in run.data.tags)
    opened = len(kills) - (("open MLflow run", "1") in kills)
    assert parents == {"FINISHED": 1, "KILLED": opened}
    assert "RUNNING" not in {run.info.status for run in runs}
    assert resumed["registered"]["version"] == "1"
    assert not [path for path in temporary.iterdir() if path.is_dir()]
    assert not list((home / "artifacts" / "scratch").glob("*/*"))
