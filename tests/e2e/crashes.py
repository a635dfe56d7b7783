"""Runs releases of the installed program that are killed or reach their end, and reads what they computed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.e2e.command_line import release_command
from tests.patience import allowed

ROOT = Path(__file__).parents[2]
CACHED = (
    *("train", "calibrate", "quantize", "convert", "measure", "baseline", "validate"),
    *("sensitivity", "time operators"),
)
"""The beginnings of the names of steps whose results are cached."""
CALIBRATE, QUANTIZE, GATE = "calibrate magnitudes", "quantize abs_max-offline", "gate abs_max-offline"
STEPS = (
    *("open MLflow run", "hardware check", "load model", "calibration data", "validation data"),
    *("measure baselines", "baseline outputs"),
    *(CALIBRATE, QUANTIZE, "convert abs_max-offline", "validate abs_max-offline", GATE),
    *("pack bundle", "register", "report"),
)
"""The steps of a release with one candidate, in their order."""


def kill(config: Path, step: str, report: str, environment: dict[str, str]) -> None:
    """A release that is killed at that point; see killed_release."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.e2e.killed_release", str(config), step, report]
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=allowed(300)
    )
    assert ended.returncode == -signal.SIGKILL, ended.stdout + ended.stderr


def release(config: Path, environment: dict[str, str]) -> dict[str, Any]:
    """The document of a release that comes to its verdict."""
    command = release_command(config, "--json")
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=allowed(300)
    )
    assert ended.returncode in (0, 3, 4), ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def verdict(document: dict[str, Any]) -> Any:
    """What must not depend on how often the release was killed."""
    (candidate,) = document["candidates"]
    results = [(each["criterion"], each["outcome"]) for each in candidate["verdict"]["results"]]
    return document["outcome"], document["chosen"], candidate["digest"], results


def computed(home: Path) -> Counter[str]:
    """How often each cached step ran to its end, in all releases of a home."""
    lines = [line for path in home.glob("logs/*/steps.jsonl") for line in path.read_text().splitlines()]
    return Counter(step for line in lines if (step := json.loads(line)["step"]).startswith(CACHED))
