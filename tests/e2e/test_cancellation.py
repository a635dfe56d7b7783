"""Ctrl-C in a terminal: a real signal ends a real release and every process of its group."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from paddle_int8.tasks.process.pace import Patience
from tests.e2e.command_line import release_command, variables
from tests.e2e.records import embedded_flow_states, read_run
from tests.e2e.small_inputs import SmallInputs
from tests.patience import allowed

pytestmark = pytest.mark.paddle

LIMIT_S = 2.0
"""On the reference host of `tasks/process/pace.py`, as all limits here."""
PATIENCE_S = 300
SLOW = {"algorithms": ["KL", "mse"], "layouts": ["offline"], "fast_calibration": False}


@pytest.mark.parametrize(
    ("begun", "complete", "step", "kind"),
    [
        pytest.param("logs/*/", set(), "load model", "models", id="while Paddle is imported"),
        pytest.param(
            "logs/*/quantize-KL-offline.log",
            {"models", "data", "baselines"},
            "quantize",
            "quantized",
            id="while two models are quantized",
        ),
    ],
)
def test_interrupted_release_ends_whole_within_two_seconds(
    inputs: SmallInputs, tmp_path: Path, temporary: Path, begun: str, complete: set[str], step: str, kind: str
) -> None:
    """step, kind: what is interrupted and what it makes, which is there only if the step has ended first."""
    home = tmp_path / "home"
    config = inputs.config(tmp_path / "release.yaml", "interrupted", quantization=SLOW)
    with (tmp_path / "output").open("wb") as output:
        release = subprocess.Popen(
            release_command(config),
            env=variables(home, TMPDIR=str(temporary)),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_for(home, begun, release)
        children = psutil.Process(release.pid).children(recursive=True)
        before = _kinds(home) - {"scratch"}
        limit_s, started = allowed(LIMIT_S), time.monotonic()
        os.killpg(release.pid, signal.SIGINT)
        status = release.wait(timeout=allowed(60))
        seconds = time.monotonic() - started
        survivors = _survivors(children, until=started + limit_s)
    finally:
        _end(release)
    assert status == 130
    assert seconds < limit_s
    assert len(children) > 1
    assert not survivors
    told = (tmp_path / "output").read_text()
    assert "cancelled (SIGINT); nothing was left half-written" in told
    assert embedded_flow_states(home) == ["CANCELLED"]
    assert read_run(f"sqlite:///{home / 'mlflow.db'}", "interrupted").info.status == "KILLED"
    assert not list(temporary.iterdir())
    assert complete <= before
    finished = {kind} if f"✓ {step}" in told else set()
    assert before <= _kinds(home) <= before | finished


def _kinds(home: Path) -> set[str]:
    """The kinds of what steps have finished, and `scratch` for what they are at. On a slow host they may have
    finished more than a test waits for."""
    return {path.parent.name for path in home.glob("artifacts/*/*")} - {"results"}


def _wait_for(home: Path, pattern: str, release: subprocess.Popen[bytes]) -> None:
    patience = Patience(PATIENCE_S)
    while not list(home.glob(pattern)):
        assert release.poll() is None, "the release ended by itself"
        assert not patience.is_over(), f"no {pattern} within {patience.limit_s:.0f} s"
        time.sleep(0.02)


def _end(release: subprocess.Popen[bytes]) -> None:
    """Leaves nothing of a release behind, whatever the test found."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(release.pid).children(recursive=True):
            child.kill()
    release.kill()
    release.wait()


def _survivors(processes: list[psutil.Process], until: float) -> list[psutil.Process]:
    """Those that live at `until`: what was being started at the signal dies with the release, not before."""
    while (alive := [each for each in processes if _lives(each)]) and time.monotonic() < until:
        time.sleep(0.02)
    return alive


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
