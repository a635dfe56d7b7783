"""Times the same models with two versions of Paddle Inference, and says where their times differ.

    make paddle3
    python -m benchmarks.versions

Both versions take turns, each in a process of its own on one thread. oneDNN's log then says how long the
kernels of each kind take; what is left of an inference is spent outside of oneDNN.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before Paddle

import argparse
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np  # before Paddle, whose zlib otherwise crashes the interpreter
import paddle

from benchmarks.candidates import converted
from benchmarks.models import SIDE, encoder, mobilenet, resnet50
from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.contracts.artifacts import Candidate, PaddleRuntime
from paddle_int8.tasks.engines.paddle.audit.kernels import COMPUTE_KINDS, parse_verbose
from paddle_int8.tasks.engines.paddle.switches import BASELINE, Switches
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.validation.latency import pin
from paddle_int8.tasks.validation.runtimes import OtherPaddle
from tests.integration.test_sensitivity import prepared, requested

LOGGED, MODEL = 20, "model"
KINDS = {**dict.fromkeys(COMPUTE_KINDS, "layers"), "reorder": "reorders"}
TURNS, ROUNDS, WARM_UP = 10, 5, 2


@dataclass(frozen=True)
class Times:
    """Milliseconds of one inference, and of its kernels by what they are: layers, reorders, others."""

    whole: float
    kernels: Counter[str]
    count: Counter[str]

    @property
    def outside(self) -> float:
        return self.whole - sum(self.kernels.values())


def kinds(lines: list[str]) -> tuple[Counter[str], Counter[str]]:
    """Milliseconds and numbers of kernels by kind, in one inference. Each kernel has its median time."""
    executed = parse_verbose(lines)[1]
    count = len(executed) // LOGGED
    times, counts = Counter[str](), Counter[str]()
    for place in range(count):
        alike = executed[place::count]
        kind = KINDS.get(alike[0].kind, "others")
        times[kind] += statistics.median(each.time_ms for each in alike)
        counts[kind] += 1
    return times, counts


def compared(folder: Path, switches: Switches, runtimes: tuple[PaddleRuntime, ...]) -> list[Times]:
    """The times of one model with each version."""
    feed: Feed = {"image": np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)}
    allowed = os.sched_getaffinity(0)
    with ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, allowed)
        pin(1)
        opened = [stack.enter_context(OtherPaddle(each, folder / "other.log")) for each in runtimes]
        for other in opened:
            other.open(MODEL, folder, switches, 1, feed)
        samples: list[list[float]] = [[] for _ in opened]
        for turn in range(TURNS):
            for found, other in zip(samples, opened, strict=True):
                timed, _, _ = other.ask("time", [feed], 1, WARM_UP, ROUNDS, 1, turn)
                found.extend(timed[MODEL].tolist())
        logged = [kinds(other.ask("verbose", MODEL, feed, LOGGED)) for other in opened]
    return [
        Times(float(np.median(found)), *found_kinds)
        for found, found_kinds in zip(samples, logged, strict=True)
    ]


def shown(times: Times) -> str:
    parts = [f"{kind} {times.kernels[kind]:.2f} ({times.count[kind]})" for kind in sorted(times.kernels)]
    return f"{times.whole:.2f}: {', '.join(parts)}, outside {times.outside:.2f}"


def measure(name: str, make: Callable[[], Any], folder: Path, runtimes: tuple[PaddleRuntime, ...]) -> None:
    paddle.disable_static()  # the network before may have been prepared in this process
    model, data = prepared(make, folder, SIDE)
    models = {"FP32": (folder / "fp32", BASELINE)}
    for layout in ("offline", "qdq"):
        candidate = Candidate(algorithm="abs_max", layout=layout)
        request = requested(model, data, candidate, folder / layout)
        models[layout] = converted(candidate, request), LAYOUTS.find(layout).switches
    for layout, (place, switches) in models.items():
        first, second = compared(place, switches, runtimes)
        ratio = f"{first.whole / second.whole:.2f}x"
        print(f"| {name} | {layout} | {shown(first)} | {shown(second)} | {ratio} |", flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versions", description=__doc__)
    parser.add_argument("--other", default=".venv-paddle3/bin/python", help="Python of the other version")
    other = str(Path(parser.parse_args().other).absolute())
    runtimes = PaddleRuntime(version="2.6.2", python=sys.executable), PaddleRuntime(version="3", python=other)
    print("| network | model | ms with 2.6.2: by kernels | ms with 3 | speed-up of 3 |")  # noqa: T201
    print("|---|---|---|---|---|")  # noqa: T201
    for name, make in (("MobileNet-V1", mobilenet), ("ResNet50", resnet50), ("encoder", encoder)):
        with tempfile.TemporaryDirectory() as folder:
            measure(name, make, Path(folder), runtimes)


if __name__ == "__main__":
    main()
