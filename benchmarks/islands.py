"""Times INT8 models some of whose layers are kept out of INT8, in FP32 and in BF16.

    python -m benchmarks.islands

The layers are drawn by chance, more and more of them, from ResNet50 and from an encoder. All models of a
network take turns in one process of one thread, as in a release. It needs a CPU with BF16.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before Paddle

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np  # before Paddle, whose zlib otherwise crashes the interpreter
import paddle

from benchmarks.candidates import converted, quantized
from benchmarks.models import SIDE, encoder, resnet50
from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.contracts.artifacts import BF16, FP32, Candidate
from paddle_int8.tasks.engines.engine import Predictor
from paddle_int8.tasks.engines.paddle.audit.kernels import COMPUTE_KINDS, parse_verbose
from paddle_int8.tasks.engines.paddle.audit.verbose import recorded
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.quantization.ptq import PtqRequest
from paddle_int8.tasks.engines.paddle.switches import BASELINE
from paddle_int8.tasks.engines.paddle.switches import BF16 as WHOLE_BF16
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.validation.latency import interleave
from paddle_int8.tasks.validation.stopwatch import Stopwatch
from tests.integration.test_sensitivity import prepared, requested

WARM_UP, CALLS = 20, 5
"""Untimed calls of each turn at most, and timed ones."""
SHARES = (0.0, 0.02, 0.05, 0.1, 0.25, 0.5)
INT8 = "int8"
Key = tuple[int, str]
"""How many layers are kept, and in which precision."""


def measured(make: Callable[[], Any], folder: Path, rounds: int) -> list[tuple[str, ...]]:
    """A row for each number of kept layers: how many, how many kernels ran in BF16, and the speed-ups."""
    paddle.disable_static()  # the network before may have been prepared in this process
    model, data = prepared(make, folder, SIDE)
    feed = {"image": np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)}
    plain = Candidate(algorithm="abs_max", layout="offline")
    operators = quantized(requested(model, data, plain, folder / "all")).operators
    counts = sorted({round(share * len(operators)) for share in SHARES})
    opened = {(0, FP32): open_predictor(spec_of(folder / "fp32", BASELINE, 1))}
    opened[0, BF16] = open_predictor(spec_of(folder / "fp32", WHOLE_BF16, 1))
    opened[0, INT8] = _opened(plain, requested(model, data, plain, folder / "none"))
    for count in counts[1:]:
        kept = sorted(np.random.default_rng(count).choice(operators, count, replace=False).tolist())
        for precision in (FP32, BF16):
            mix = replace(plain, overrides=tuple((name, precision) for name in kept))
            opened[count, precision] = _opened(mix, requested(model, data, mix, folder / mix.name))
    times = _medians(opened, feed, rounds)
    speedup = {key: f"{times[0, FP32] / each:.2f}x" for key, each in times.items()}
    rows = [(f"0 of {len(operators)}", "", speedup[0, INT8], "")]
    for count in counts[1:]:
        kernels = _in_bf16(opened[count, BF16], feed)
        rows.append(
            (f"{count} of {len(operators)}", str(kernels), speedup[count, FP32], speedup[count, BF16])
        )
    return [*rows, ("all", str(_in_bf16(opened[0, BF16], feed)), "1.00x", speedup[0, BF16])]


def _opened(candidate: Candidate, request: PtqRequest) -> Predictor:
    switches = LAYOUTS.find(candidate.layout).switches_for(candidate)
    return open_predictor(spec_of(converted(candidate, request), switches, 1))


def _medians(opened: dict[Key, Predictor], feed: Feed, rounds: int) -> dict[Key, float]:
    """Milliseconds of one inference, timed as a release times: all models in turns of a few calls."""
    runs = {f"{count} {precision}": partial(each.run, feed) for (count, precision), each in opened.items()}
    for run in runs.values():
        run()  # makes the kernels
    with Stopwatch(1) as watch:
        found = interleave(runs, watch, warmup=WARM_UP, rounds=rounds, calls=CALLS, seed=0)
    return dict(zip(opened, (float(np.median(each)) for each in found.values()), strict=True))


def _in_bf16(predictor: Predictor, feed: Feed) -> int:
    _, executed = parse_verbose(recorded(lambda: predictor.run(feed), inferences=1))
    return sum(each.dtype == BF16 and each.kind in COMPUTE_KINDS for each in executed)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.islands", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="turns of each model")
    rounds = parser.parse_args().rounds
    print("| network | kept | kernels in BF16 | the others in FP32 | the others in BF16 |")  # noqa: T201
    print("|---|---|---|---|---|")  # noqa: T201
    for name, make in (("ResNet50", resnet50), ("encoder", encoder)):
        with tempfile.TemporaryDirectory() as folder:
            for row in measured(make, Path(folder), rounds):
                print(f"| {name} | {' | '.join(row)} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
