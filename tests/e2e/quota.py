"""Limits the CPU time of a process and of all that it starts, by the kernel's cgroups."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.patience import comes_true

GROUPS = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
ENTER = 'echo $$ > "$0" && exec "$@"'


@contextmanager
def cpu_quota(cpus: float) -> Iterator[Path]:
    """A group of at most `cpus` CPUs: its file for the ids of processes. Skips where none can be made."""
    quota = int(cpus * PERIOD_US)
    first = (GROUPS / "cpu").is_dir()
    group = (GROUPS / "cpu" if first else GROUPS) / f"paddle-int8-test-{uuid4().hex[:8]}"
    try:
        group.mkdir()
        if first:
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
    except OSError as error:
        pytest.skip(f"no cgroup with a CPU quota can be made here: {error}")
    processes = group / ("tasks" if first else "cgroup.procs")
    try:
        yield processes
    finally:
        comes_true(lambda: not processes.read_text(), seconds=20)  # the last of them may still be dying
        group.rmdir()


def run_within(
    processes: Path, command: list[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`command` to its end, in the group."""
    return subprocess.run(
        ["/bin/sh", "-c", ENTER, str(processes), *command],
        env=dict(os.environ if environment is None else environment),
        capture_output=True,
        text=True,
        check=False,
    )
