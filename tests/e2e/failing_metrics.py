"""Metrics that end the isolated process that scores with them. Named by configurations under test."""

from __future__ import annotations

import ctypes
import os
import signal
import time


def segfault(_outputs: object, _labels: object) -> None:
    ctypes.string_at(0)


def abort(_outputs: object, _labels: object) -> None:
    os.abort()


def be_killed(_outputs: object, _labels: object) -> None:
    """What the kernel does to a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang(_outputs: object, _labels: object) -> None:
    time.sleep(600)
