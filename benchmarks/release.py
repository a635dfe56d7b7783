"""Measures the seconds and peak memory of a whole release, step by step: `python -m benchmarks.release`.

Each release is a real `paddle-int8 release` in an empty home, where Prefect and MLflow must first make their
databases. The steps record their own times. Overhead is the wall-clock time in which no step was running:
orchestration, the start of processes, and logging. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "configs" / "digits_mobilenet_v1.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One release: its wall-clock time, its steps, and the peak memory of the flow's process."""

    wall_s: float
    steps: tuple[dict[str, Any], ...]
    flow_peak_bytes: int

    @property
    def overhead_s(self) -> float:
        return self.wall_s - covered_s([(step["started"], step["ended"]) for step in self.steps])


def covered_s(spans: list[tuple[float, float]]) -> float:
    """The length of the union of time spans, in seconds."""
    total, end = 0.0, 0.0
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def measure_release(config: Path, home: Path) -> Measured:
    """Runs one release to its verdict, whatever the verdict is. Raises: RuntimeError when it fails."""
    command = [str(Path(sys.executable).with_name("paddle-int8")), "release", str(config), "--json"]
    started = time.monotonic()
    with (home / "out.json").open("wb") as out, (home / "err.txt").open("wb") as err:
        child = subprocess.Popen(
            command, stdout=out, stderr=err, env={**os.environ, "PADDLE_INT8_HOME": str(home)}
        )
        peak = _Peak(child.pid)
        status = child.wait()
    if status not in (0, 3, 4):
        raise RuntimeError((home / "err.txt").read_text())
    newest = max(home.glob("logs/*/steps.jsonl"), key=lambda path: path.stat().st_mtime)
    lines = newest.read_text().splitlines()
    return Measured(
        wall_s=time.monotonic() - started,
        steps=tuple(sorted(map(json.loads, lines), key=lambda step: step["started"])),
        flow_peak_bytes=peak.bytes,
    )


class _Peak(threading.Thread):
    """A thread that samples the resident memory of a process until that ends."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self._process = psutil.Process(pid)
        self.start()

    def run(self) -> None:
        while True:
            try:
                self.bytes = max(self.bytes, self._process.memory_info().rss)
            except psutil.NoSuchProcess:
                return
            time.sleep(0.05)


def resnet50_config(folder: Path, samples: int) -> Path:
    """The configuration that releases the full-size ResNet50 on `samples` smooth random pictures, 224x224."""
    random = np.random.default_rng(0)
    for name, count in (("calibration", samples), ("validation", 100)):
        coarse = random.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        pictures = coarse.repeat(28, axis=1).repeat(28, axis=2)
        np.savez(folder / f"{name}.npz", image=pictures, labels=random.integers(0, 1000, count))
    config = {
        "name": "bench-resnet50",
        "model": {"train": "benchmarks.models:export_resnet50"},
        "data": {
            "calibration": {"kind": "npz", "path": "calibration.npz"},
            "validation": {"kind": "npz", "path": "validation.npz"},
            "preprocessing": {"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
            "calibration_samples": samples,
        },
        "quantization": {"algorithms": ["hist", "KL"], "strategy": "grid"},
        "validation": {"repeats": 50},
    }
    path = folder / "resnet50.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def table(title: str, measured: Measured) -> str:
    """The measured release as a Markdown table."""
    rows = [f"### {title}", "", "| step | seconds | peak memory, MB |", "|---|---|---|"]
    for name in dict.fromkeys(step["step"] for step in measured.steps):  # several processes time a candidate
        own = [step for step in measured.steps if step["step"] == name]
        seconds = sum(step["ended"] - step["started"] for step in own)
        peak = max(step["peak_memory_bytes"] for step in own)
        rows.append(f"| {name} | {seconds:.1f} | {peak / 1e6:.0f} |")
    rows += [
        f"| **all, wall time** | **{measured.wall_s:.1f}** | |",
        f"| of it outside every step | {measured.overhead_s:.1f} | {measured.flow_peak_bytes / 1e6:.0f} "
        "(the flow process) |",
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=64, help="how many calibration pictures ResNet50 gets")
    parser.add_argument("--only", choices=("demo", "resnet50"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paddle-int8-bench-") as text:
        home = Path(text)
        for name in ("demo", "resnet50") if options.only is None else (options.only,):
            config = DEMO if name == "demo" else resnet50_config(home, options.samples)
            print(table(name, measure_release(config, home)), flush=True)  # noqa: T201 - a program's output


if __name__ == "__main__":
    main()
