"""Ctrl-C in a terminal, as a real signal to a real release and every process of its group."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.e2e.records import read_run
from tests.e2e.small_inputs import SmallInputs

pytestmark = pytest.mark.paddle

LIMIT_S = 2.0
STARTUP_S = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A release that has begun, in a session of its own like a terminal's."""

    process: subprocess.Popen[bytes]
    home: Path
    temporary: Path

    def wait_for_log(self, name: str) -> None:
        """Until the step whose log is `name` has begun."""
        deadline = time.monotonic() + STARTUP_S
        while not list(self.home.glob(f"logs/*/{name}.log")):
            assert self.process.poll() is None, "the release ended by itself"
            assert time.monotonic() < deadline, f"no {name} within {STARTUP_S} s"
            time.sleep(0.05)
