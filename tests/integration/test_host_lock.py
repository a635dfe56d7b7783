"""The host lock: measurements alone, computations together; each holder is a real process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

HOLDER = """
import sys, time
from pathlib import Path
from tasks import host_lock
with getattr(host_lock, sys.argv[1])():
    Path(sys.argv[2]).write_text("held")
    time.sleep(float(sys.argv[3]))
"""


def _hold(kind: str, flag: Path, seconds: float, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, kind, str(flag), str(seconds)],
        env={"TMPDIR": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def _wait(flag: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not flag.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return flag.exists()


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        pytest.param("measuring", "measuring", False, id="two measurements wait"),
        pytest.param("computing", "measuring", False, id="measurement waits for computation"),
        pytest.param("measuring", "computing", False, id="computation waits for measurement"),
        pytest.param("computing", "computing", True, id="computations run together"),
    ],
)
def test_host_lock_pair_of_holders(tmp_path: Path, first: str, second: str, together: bool) -> None:
    one = _hold(first, tmp_path / "one", 60, tmp_path)
    assert _wait(tmp_path / "one", 30)
    two = _hold(second, tmp_path / "two", 0, tmp_path)
    try:
        assert _wait(tmp_path / "two", 30 if together else 3) is together
        one.kill()  # the operating system frees the lock of a process that is killed
        assert _wait(tmp_path / "two", 30)
    finally:
        one.kill()
        two.kill()
        one.wait()
        two.wait()
