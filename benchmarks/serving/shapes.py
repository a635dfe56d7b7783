"""Memory and time over 1,000 input shapes, for several numbers of shapes whose kernels are kept:

    python -m benchmarks.serving.shapes --models offline qdq --kept 1 10 50 200 1000

Pictures come in 1,000 sizes, each three times, in a random order; sentences in batches of one, of 1 to 200
words, each length five times. Every number of kept shapes has a process of its own. Memory is what the
process holds beyond what it held after the first call. The time is the mean of a call, with that of a call
whose kernels are there beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.serving.models import MODELS, RECURRENT, Served, build
from benchmarks.serving.server import memory_mib
from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.contracts.sequences import LENGTHS
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration.small_sequences import WORDS

KEPT = (1, 10, 50, 200, 1000)
TIMEOUT_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What calls of many shapes cost, `kept` shapes at most being prepared.

    memory_mib: growth since the first call: after a third of the calls, and at the end.
    call_ms: mean time of a call; `again_ms` of one whose shape was the last one's too.
    """

    kept: int
    memory_mib: tuple[float, float]
    call_ms: float
    again_ms: float


def shapes(served: Served, count: int) -> Iterator[Feed]:
    """Inputs of `count` shapes, each several times."""
    random = np.random.default_rng(0)
    if served.name in RECURRENT:
        for length in random.permutation(np.repeat(np.arange(1, min(count, 200) + 1), 5)):
            yield {"words": random.integers(0, WORDS, (1, length, 1)), f"words{LENGTHS}": np.array([length])}
        return
    side = int(np.ceil(np.sqrt(count)))
    sizes = [(32 + 2 * (place // side), 32 + 2 * (place % side)) for place in range(count)]
    for height, width in random.permutation(np.repeat(sizes, 3, axis=0)):
        yield {"image": random.standard_normal((1, 3, height, width)).astype(np.float32)}


def run_all(served: Served, kept: int, count: int) -> Found:
    """Isolated process."""
    from paddle_int8.tasks.engines.paddle.serving import opened, paddle_config

    deployment = json.loads((served.bundle / "deployment.json").read_text(encoding="utf-8"))
    switches = {**deployment["switches"], "onednn_cache_capacity": kept}
    model = served.bundle / "model"
    config = paddle_config(model / "model.pdmodel", model / "model.pdiparams", switches, 1)
    predictor = opened(config, switches)
    feeds = list(shapes(served, count))
    predictor.run(feeds[0])
    before, memory, calls, again = memory_mib(os.getpid()), [], [], []
    for place, feed in enumerate(feeds):
        for times in (calls, again):
            started = time.perf_counter()
            predictor.run(feed)
            times.append(1e3 * (time.perf_counter() - started))
        if place + 1 in (len(feeds) // 3, len(feeds)):
            memory.append(memory_mib(os.getpid()) - before)
    return Found(
        kept=kept,
        memory_mib=(memory[0], memory[-1]),
        call_ms=float(np.mean(calls)),
        again_ms=float(np.mean(again)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shapes", type=int, default=1000)
    parser.add_argument("--kept", type=int, nargs="+", default=KEPT)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    arguments = parser.parse_args()
    print(  # noqa: T201
        "| model | shapes kept | MiB after a third, at the end | ms a call | ms again |\n"
        "|---|---|---|---|---|",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="paddle-int8-") as name:
        folder = Path(name)
        for served in build(folder, arguments.models).values():
            for kept in arguments.kept:
                found = run_isolated(
                    run_all,
                    served,
                    kept,
                    arguments.shapes,
                    step="shapes",
                    log=folder / "shapes.log",
                    timeout_s=TIMEOUT_S,
                )
                held = ", ".join(f"{mib:.0f}" for mib in found.memory_mib)
                print(  # noqa: T201
                    f"| {served.name} | {kept} | {held} | {found.call_ms:.2f} | {found.again_ms:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    from benchmarks.serving.shapes import main as run  # isolated processes import functions by module

    run()
