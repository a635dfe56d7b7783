"""Measures one speed-up many times as releases do, and counts the intervals that hold the median of all.

    python -m benchmarks.repeatability --measurements 20

One real release makes MobileNet-V1 at its published size ready. Then its speed is measured over and over,
each time in `validation.processes` fresh processes. The conditions alternate: beside whatever the host does,
beside load that this program makes, and with a CPU of its own (real-time priority, which needs root). What
was measured is kept in `measurements.jsonl` of the folder, and the program goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import yaml

from benchmarks.latencies import timed_as_asked
from benchmarks.release import measure_release
from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    DatasetArtifact,
    DeployableArtifact,
    ModelArtifact,
)
from paddle_int8.tasks.contracts.evidence import LatencyEvidence
from paddle_int8.tasks.contracts.json import from_json, to_json
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.hardware.levels import environment
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.validation.load import LoadEvidence
from paddle_int8.tasks.validation.request import MeasureRequest
from paddle_int8.tasks.validation.speed import speed_ratio
from paddle_int8.tasks.validation.timing import latency_evidence

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "configs" / "published" / "mobilenet_v1_speed.yaml"
RECORDS = "measurements.jsonl"
SPIN = "while True: pass"
STREAM = "import numpy; a = numpy.ones(1 << 25); b = a.copy()\nwhile True: b[:] = a"
TIMEOUT_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a measurement runs beside. real_time: whether no other process may run on its CPU."""

    name: str
    load: tuple[str, ...] = ()
    real_time: bool = False


CONDITIONS = (
    Condition(name="own CPU", real_time=True),
    Condition(name="as it is"),
    Condition(name="own CPU", real_time=True),
    Condition(name="two processes that copy 256 MiB over and over", load=(STREAM, STREAM)),
    Condition(name="own CPU, two processes that compute", load=(SPIN, SPIN), real_time=True),
)
"""The conditions of the first five measurements, and again of each five after them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One measurement: when it began, its condition, how long it took, and what it found."""

    began: str
    condition: str
    seconds: float
    latency: LatencyEvidence


@contextmanager
def beside(load: Sequence[str]) -> Iterator[None]:
    """Runs the processes of a load while the context is open."""
    running = [subprocess.Popen([sys.executable, "-c", code]) for code in load]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def made_ready(folder: Path) -> MeasureRequest:
    """The request of a release's measurement. The release itself is made once, in the folder's `home`."""
    home, config = folder / "home", load_config(CONFIG)
    if not (home / "done").exists():
        home.mkdir(parents=True, exist_ok=True)
        changed = config.model_dump(mode="json", exclude_unset=True)
        changed["quantization"] |= {"algorithms": ["abs_max"], "layouts": ["offline"]}
        changed["validation"] |= {"deploy_isas": [], "references": [], "processes": 2, "repeats": 20}
        (home / "release.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
        measure_release(home / "release.yaml", home)
        (home / "done").touch()
    release = json.loads((home / "out.json").read_text(encoding="utf-8"))
    (candidate,) = release["candidates"]
    (deployable,) = (home / "artifacts" / "deployable").iterdir()
    return MeasureRequest(
        model=from_json(ModelArtifact, json.dumps(release["model"])),
        deployable=DeployableArtifact(
            candidate=from_json(Candidate, json.dumps(candidate["candidate"])),
            folder=deployable,
            digest=candidate["digest"],
            size_bytes=candidate["size_bytes"],
            int8_ops={},
            seconds=0.0,
            log=folder / "log",
        ),
        validation=from_json(DatasetArtifact, json.dumps(release["validation"])),
        config=config.validation.model_copy(update={"references": ()}),
        confidence=config.gate.confidence,
        isa=IsaLevel(candidate["per_isa"][0]["isa"]),
        emulated=False,
        folder=folder,
        log=folder / "log",
        baseline_outputs=folder,
        baseline_load=LoadEvidence(load_ms=0.0, peak_memory_bytes=0),
    )


def measured(request: MeasureRequest, condition: Condition) -> Record:
    """Measures the speed-up once, as a release does."""
    began, started = f"{datetime.now(UTC):%H:%M:%S}", time.monotonic()
    with beside(condition.load):
        timings = [
            run_isolated(
                timed_as_asked,
                request,
                place,
                condition.real_time,
                step=request.timing_step,
                log=request.log,
                timeout_s=TIMEOUT_S,
                environment=environment(request.isa, limited=False, threads=request.config.threads),
            )
            for place in range(request.config.processes)
        ]
    return Record(
        began=began,
        condition=condition.name,
        seconds=time.monotonic() - started,
        latency=latency_evidence(request, timings),
    )


def read(folder: Path) -> list[Record]:
    """What was measured so far. The intervals are those that today's code gives to the kept timings."""
    path = folder / RECORDS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [judged_anew(from_json(Record, line)) for line in lines]


def judged_anew(record: Record) -> Record:
    latency = record.latency
    speedup = speed_ratio(
        latency.samples_ms["baseline"],
        latency.samples_ms["candidate"],
        processes=latency.speedup.processes,
        calls=latency.calls,
        confidence=latency.speedup.confidence,
        disturbance=latency.disturbance,
    )
    return replace(record, latency=replace(latency, speedup=speedup))


def table(records: Sequence[Record]) -> str:
    """The measurements as a Markdown table, with the number of intervals that hold the median of all."""
    found = [each.latency.speedup for each in records]
    median = statistics.median(each.ratio for each in found)
    rows = [
        "| began | took | condition | taken | run queue | speed-up | interval | without allowance | holds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in records:
        speed, host = each.latency.speedup, each.latency.disturbance
        assert host is not None
        bare = speed.low * (1 + speed.allowance), speed.high / (1 + speed.allowance)
        holds = "yes" if speed.low <= median <= speed.high else "**no**"
        rows.append(
            f"| {each.began} | {each.seconds:.0f} s | {each.condition} | {100 * host.taken_share:.0f} % "
            f"| {host.load:.1f} | {speed.ratio:.2f}x | {speed.low:.2f}-{speed.high:.2f} "
            f"| {bare[0]:.2f}-{bare[1]:.2f} | {holds} |"
        )
    held = sum(each.low <= median <= each.high for each in found)
    ratios = [each.ratio for each in found]
    rows += [
        "",
        f"The median is {median:.2f}x, the lowest {min(ratios):.2f}x, the highest {max(ratios):.2f}x.",
    ]
    rows[-1] += f" {held} of {len(records)} intervals hold the median."
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurements", type=int, default=20, help="how many there are in the end")
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "repeatability")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two measurements")
    parser.add_argument(
        "--condition", action="append", help="one of the conditions that alternate; all without it"
    )
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    request = made_ready(folder)
    conditions = [each for each in CONDITIONS if each.name in (options.condition or (each.name,))]
    for place in range(len(read(folder)), options.measurements):
        record = measured(request, conditions[place % len(conditions)])
        with (folder / RECORDS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(json.loads(to_json(record))) + "\n")
        print(f"{place + 1}: {record.latency.speedup}", flush=True)  # noqa: T201 - a program's output
        time.sleep(options.pause)
    if records := read(folder):
        print(table(records))  # noqa: T201


if __name__ == "__main__":
    main()
