"""Metrics, and a source of data, that end the isolated process they run in. Configurations name them."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

CGROUP_VARIABLE = "TEST_MEMORY_CGROUP"


def segfault(_outputs: object, _labels: object) -> None:
    ctypes.string_at(0)


def segfault_while_reading() -> None:
    ctypes.string_at(0)


def abort(_outputs: object, _labels: object) -> None:
    os.abort()


def take_too_much_memory(_outputs: object, _labels: object) -> None:
    """Until the kernel ends the process, in the memory cgroup that the environment names."""
    (Path(os.environ[CGROUP_VARIABLE]) / "cgroup.procs").write_text(str(os.getpid()))
    taken = [bytearray(os.urandom(1 << 20)) for _ in range(1 << 10)]
    raise AssertionError(f"{len(taken)} MiB were to be had")


def hang(_outputs: object, _labels: object) -> None:
    time.sleep(600)
