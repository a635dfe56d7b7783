"""Finds the Pythons of this machine: `python -m tests.interpreters 3.12`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def interpreter(version: str) -> str | None:
    """An interpreter of this version, such as "3.8", that starts: on the PATH, or one of pyenv's."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    installed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    for path in (shutil.which(f"python{version}"), *map(str, installed)):
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


if __name__ == "__main__":
    found = interpreter(sys.argv[1])
    print(found or f"no Python {sys.argv[1]} starts on this machine")  # noqa: T201 - for the Makefile
    sys.exit(found is None)
