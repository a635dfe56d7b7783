"""Finds the environments of other versions of Paddle. Loads no Paddle."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from paddle_int8.tasks.contracts.artifacts import PaddleRuntime
from paddle_int8.tasks.contracts.errors import ConfigError

ASK = (
    "import sys, importlib.metadata as m; assert sys.version_info >= (3, 11), 'its Python is too old'; "
    "print(m.version('paddlepaddle'))"
)
TIMEOUT_S = 60


def found_runtimes(versions: Iterable[str], pythons: Sequence[str]) -> tuple[PaddleRuntime, ...]:
    """The environment of each version. The installed one needs none and is left out.

    pythons: paths of the Pythons of the environments.
    Raises: ConfigError, naming what each of them has, when a version is in none.
    """
    wanted = [each for each in dict.fromkeys(versions) if each != version("paddlepaddle")]
    if not wanted:
        return ()
    has = {python: _asked(python) for python in pythons}
    by_version = {found: python for python, found in reversed(has.items())}
    for each in wanted:
        if each not in by_version:
            raise ConfigError(
                found=f"Paddle {each} in `validation.runtimes`, and "
                + (
                    "; ".join(f"{python}: {found}" for python, found in has.items()) or "no other environment"
                ),
                required="an environment with Python 3.11 or newer for each of these versions",
                remedy=f"`make paddle3`, or install paddlepaddle=={each} into a virtual environment and name "
                "its Python in PADDLE_INT8_RUNTIMES",
            )
    return tuple(
        PaddleRuntime(version=each, python=str(Path(by_version[each]).absolute())) for each in wanted
    )


def _asked(python: str) -> str:
    """The version of Paddle that an environment has, or in words why there is none."""
    try:
        done = subprocess.run(
            [python, "-I", "-c", ASK], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error) if not isinstance(error, FileNotFoundError) else "not there"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it ended with an error"])[-1]
    return done.stdout.strip()
