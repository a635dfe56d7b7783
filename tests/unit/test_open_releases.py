"""A lock that ends with its process tells releases of dead processes from running ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from paddle_int8.tasks.tracking.open_releases import OpenRelease, lost, under_way

HOLD = """
import sys, time
from pathlib import Path
from paddle_int8.tasks.tracking.open_releases import OpenRelease, under_way
with under_way(Path(sys.argv[1]), OpenRelease(name="model", flow_run_id="other")):
    print("held", flush=True)
    time.sleep(60)
"""
OTHER = OpenRelease(name="model", flow_run_id="other")


def _lost(root: Path) -> tuple[OpenRelease, ...]:
    with lost(root) as releases:
        return releases


def test_release_of_a_killed_process_is_lost_once_and_not_before_it_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout:
        process.stdout.readline()
        assert _lost(tmp_path) == ()
        process.kill()
    assert _lost(tmp_path) == (OTHER,)
    assert _lost(tmp_path) == ()


def test_release_that_has_ended_is_not_lost(tmp_path: Path) -> None:
    with under_way(tmp_path, OTHER):
        pass
    assert _lost(tmp_path) == ()


def test_lost_release_that_cannot_be_put_right_is_kept_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "open-releases" / "other.json"
    path.parent.mkdir()
    path.write_text('{"name": "model", "flow_run_id": "other"}')
    try:
        with lost(tmp_path) as releases:
            assert releases == (OTHER,)
            raise ConnectionError
    except ConnectionError:
        pass
    assert _lost(tmp_path) == (OTHER,)
