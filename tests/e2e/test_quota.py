"""With a fifth of a core, nothing fails merely because it is slow, and threads follow the quota."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.command_line import new_home, release_command
from tests.e2e.quota import cpu_quota, run_within
from tests.e2e.records import embedded_flow_states
from tests.e2e.servers import ROOT
from tests.e2e.small_inputs import SmallInputs

FIFTH = 0.2
SPEED = "from paddle_int8.tasks.process.pace import slowness; print(slowness())"


def test_speed_under_a_quota_of_a_fifth_is_seen() -> None:
    with cpu_quota(FIFTH) as group:
        ended = run_within(group, [sys.executable, "-c", SPEED], {"PYTHONPATH": str(ROOT)})
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout) > 2


@pytest.mark.sweep
@pytest.mark.timeout(7200)
def test_first_release_under_a_quota_of_a_fifth_is_approved_and_says_what_it_waits_for(
    inputs: SmallInputs, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    config = inputs.approvable(tmp_path / "release.yaml", "slow", validation={"threads": 1})
    with cpu_quota(FIFTH) as group:
        ended = run_within(group, release_command(config), new_home(home))
    assert embedded_flow_states(home) == ["COMPLETED"], ended.stdout + ended.stderr
    assert "waiting for Prefect's temporary server" in ended.stdout + ended.stderr


THREADS = """
from paddle_int8.tasks.process.limits import own_cores, own_threads, threads_each
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.validation.latency import pin
from paddle_int8.tasks.contracts.errors import MeasurementError
try:
    pin(2)
    found = "pinned"
except MeasurementError as error:
    found = error.remedy
print(own_cores(), own_threads(), threads_each(Settings().parallel_candidates), found, sep="|")
"""


def test_threads_follow_the_quota_and_not_the_mask_alone() -> None:
    with cpu_quota(0.5) as group:
        ended = run_within(group, [sys.executable, "-c", THREADS], {"PYTHONPATH": str(ROOT)})
    assert ended.stdout.strip() == "0.5|1|1|set `validation.threads` to 1 or less", ended.stderr


THROTTLED = """
import sys, time
from pathlib import Path
from paddle_int8.tasks.hardware.disturbance import disturbance, reading
from paddle_int8.tasks.validation.stopwatch import Stopwatch

def compute():
    ended = time.thread_time() + 0.03
    while time.thread_time() < ended:
        pass

Path(sys.argv[1]).write_text("0")
before = reading()
with Stopwatch(1) as stopwatch:
    calls = sorted(stopwatch.time_ms(compute) for _ in range(10))
found = disturbance([(before, reading())], waited_share=stopwatch.waited_s / stopwatch.seconds)
print(calls[5] < 60, found.throttled_share > 0.05, found.waited_share > 0.5, found.taken_share > 0.5)
"""


def test_a_quota_that_throttles_a_measurement_is_seen_and_is_not_in_its_timings() -> None:
    """With a twentieth of a CPU, a call that computes for 30 ms lasts 600."""
    with cpu_quota(0.05) as group:
        ended = run_within(
            Path("/dev/null"), [sys.executable, "-c", THROTTLED, str(group)], {"PYTHONPATH": str(ROOT)}
        )
    assert ended.stdout.split() == ["True"] * 4, ended.stdout + ended.stderr
