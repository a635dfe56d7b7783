"""Metrics and a source of data that end the isolated process in which they run. Configurations name them.

The metrics pass when they are tried on FP32's own answers, before anything is quantized.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

import numpy as np

CGROUP_VARIABLE = "TEST_MEMORY_CGROUP"
SECOND_PROCESS = "TEST_SECOND_PROCESS"
"""The variable with the file in which a metric notes the processes that it ran in."""


Outputs = list[np.ndarray]


def segfault_while_reading() -> None:
    ctypes.string_at(0)


def segfault(outputs: Outputs, _labels: object, fp32: Outputs) -> np.ndarray:
    return _right(outputs) if outputs is fp32 else ctypes.string_at(0)


def abort(outputs: Outputs, _labels: object, fp32: Outputs) -> np.ndarray:
    return _right(outputs) if outputs is fp32 else os.abort()


def take_too_much_memory(outputs: Outputs, _labels: object, fp32: Outputs) -> np.ndarray:
    """Until the kernel ends the process, in the memory cgroup that the environment names."""
    if outputs is fp32:
        return _right(outputs)
    (Path(os.environ[CGROUP_VARIABLE]) / "cgroup.procs").write_text(str(os.getpid()))
    taken = [bytearray(os.urandom(1 << 20)) for _ in range(1 << 10)]
    raise AssertionError(f"{len(taken)} MiB were to be had")


def hang(outputs: Outputs, _labels: object, fp32: Outputs) -> np.ndarray:
    if outputs is not fp32:
        time.sleep(600)
    return _right(outputs)


def unfit(_outputs: Outputs, _labels: object) -> np.ndarray:
    raise KeyError("no such field")


def _right(outputs: Outputs) -> np.ndarray:
    return np.ones(len(outputs[0]))


def fail_in_the_second_process(outputs: Outputs, labels: np.ndarray, fp32: Outputs) -> np.ndarray:
    """Top-1, but for the second candidate: each is measured in a process of its own."""
    if outputs is not fp32:
        seen = Path(os.environ[SECOND_PROCESS])
        processes = seen.read_text().split() if seen.exists() else []
        if str(os.getpid()) not in processes:
            processes.append(str(os.getpid()))
            seen.write_text(" ".join(processes))
        if processes.index(str(os.getpid())) == 1:
            raise KeyError("no such field")
    return np.asarray(outputs[0].argmax(axis=1) == labels.ravel(), np.float64)
