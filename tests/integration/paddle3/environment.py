"""The environment of Paddle 3, which `make paddle3` makes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PYTHON = HERE.parents[2] / ".venv-paddle3" / "bin" / "python"
ABSENT = "Paddle 3 is absent: `make paddle3` makes its environment"
TIMEOUT_S = 1500


OLDER_FORM = {"FLAGS_enable_pir_api": "0"}
"""The variables with which Paddle 3 exports a `.pdmodel`."""


def run_paddle3(script: str, *arguments: str | Path, variables: Mapping[str, str] | None = None) -> None:
    """Runs a script of this folder. Skips the test where Paddle 3 is absent."""
    if not PYTHON.is_file():
        pytest.skip(ABSENT)
    command = [PYTHON, HERE / script, *arguments]
    environment = os.environ | (variables or {})
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
