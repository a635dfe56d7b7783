"""The environments with Paddle 3: one with Paddle alone, and one with its model zoos besides."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """target: the target of the Makefile that makes it."""

    python: Path
    target: str

    def require(self) -> None:
        """Skips the test where the environment is absent."""
        if not self.python.is_file():
            pytest.skip(f"Paddle 3 is absent: `{self.target}` makes its environment")


ROOT = HERE.parents[2]
PADDLE3 = Environment(python=ROOT / ".venv-paddle3" / "bin" / "python", target="make paddle3")
ZOOS = Environment(python=ROOT / ".venv-families" / "bin" / "python", target="make families")
TIMEOUT_S = 1500


ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Sums in another order differ, and random weights let that grow: to 1.6e-3 in ResNeSt with two threads."""
OLDER_FORM = {"FLAGS_enable_pir_api": "0"}
"""The variables with which Paddle 3 exports a `.pdmodel`."""


def run_paddle3(
    script: str,
    *arguments: str | Path,
    variables: Mapping[str, str] | None = None,
    environment: Environment = PADDLE3,
) -> None:
    """Runs a script of this folder. Skips the test where the environment is absent."""
    environment.require()
    command = [environment.python, HERE / script, *arguments]
    done = subprocess.run(
        command,
        env=os.environ | ONE_THREAD | (variables or {}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
