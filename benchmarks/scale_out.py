"""Measures what more Dask workers gain on this host, with the same CPU-bound task through prefect-dask.

    python -m benchmarks.scale_out
    python -m benchmarks.scale_out --tasks 8 --seconds 3 --rounds 5

Clusters of all sizes are up all the time, and get the tasks one after the other, in rounds that each begin
with another cluster. So whatever disturbs the host disturbs all sizes alike. Each ratio compares with 1
worker in the same round.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from paddle_int8.flows.cli.console import out
from paddle_int8.tasks.process.limits import own_threads

SIZES = (1, 2, 4)
ADDRESS = "PADDLE_INT8_DASK_SCHEDULER"
TRIAL = 200_000
"""How many hashes are timed to find out how many fill the requested seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """The seconds of one flow from its first submission to its last result, and those inside its tasks."""

    wall_s: float
    inside_s: float


def burn(hashes: int) -> float:
    """Computes hashes without a pause, in one thread and little memory, and returns the seconds it took."""
    started, digest = time.perf_counter(), b""
    for _ in range(hashes):
        digest = hashlib.sha256(digest).digest()
    return time.perf_counter() - started


def make_flow() -> Callable[[int, int], Took]:
    """Makes the flow. Prefect is imported only here, because it reads its settings when it is imported."""
    from prefect import flow, task

    from paddle_int8.flows.server.fan_out import fanned_out
    from paddle_int8.tasks.config.release import FanOut

    work = task(name="burn")(burn)

    @flow(name="scale-out")
    def scale_out(tasks: int, hashes: int) -> Took:
        with fanned_out(FanOut.DASK):
            started = time.perf_counter()
            futures = [work.submit(hashes) for _ in range(tasks)]
            inside = sum(future.result() for future in futures)
            return Took(wall_s=time.perf_counter() - started, inside_s=inside)

    return scale_out


def measure(tasks: int, hashes: int, rounds: int) -> dict[int, list[Took]]:
    """Runs the rounds, and returns what each took, by number of workers."""
    from distributed import LocalCluster

    flow, took = make_flow(), {size: list[Took]() for size in SIZES}
    with ExitStack() as clusters:
        addresses = {}
        for size in SIZES:
            cluster = LocalCluster(
                n_workers=size, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
            )
            addresses[size] = clusters.enter_context(cluster).scheduler_address
        for number in range(-1, rounds):  # in the first one the workers only import what they need
            first = number % len(SIZES)
            for size in SIZES[first:] + SIZES[:first]:
                os.environ[ADDRESS] = addresses[size]
                found = flow(tasks, hashes if number >= 0 else 1)
                if number >= 0:
                    took[size].append(found)
                    out.print(f"round {number + 1}, {size} workers: {found.wall_s:.1f} s", highlight=False)
    return took


def to_markdown(took: dict[int, list[Took]], tasks: int) -> str:
    """A Markdown table of medians over the rounds, with the range of ratios, and the overhead of a task."""
    lines = ["| workers | s | speed-up over 1 worker | at best |", "|---|---|---|---|"]
    cores = own_threads()
    for size in SIZES:
        ratios = [one.wall_s / each.wall_s for one, each in zip(took[1], took[size], strict=True)]
        wall = statistics.median(each.wall_s for each in took[size])
        best = tasks / math.ceil(tasks / min(size, cores))
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        lines.append(f"| {size} | {wall:.1f} | {spread} | {best:.2f} |")
    beside = statistics.median((each.wall_s - each.inside_s) / tasks for each in took[1])
    inside = statistics.median(each.inside_s / tasks for each in took[1])
    lines.append(
        f"\n{tasks} tasks of {inside:.2f} s on {cores} cores; a task costs {beside:.2f} s beside its work"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long one task computes")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scale") as home:
        os.environ["PADDLE_INT8_HOME"] = str(Path(home))
        from paddle_int8.flows.cli.embedded import surroundings
        from paddle_int8.tasks.config.settings import Settings

        settings = Settings()
        surroundings.prepare(settings)
        surroundings.start_prefect(settings)()
        hashes = max(1, round(TRIAL * asked.seconds / burn(TRIAL)))
        out.print(
            to_markdown(measure(asked.tasks, hashes, asked.rounds), asked.tasks),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


if __name__ == "__main__":
    main()
