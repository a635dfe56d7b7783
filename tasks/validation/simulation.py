"""PaddleSlim's simulation of a candidate: what rounding costs, before any INT8 kernel.

Runs in the isolated process only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tasks.arrays import Array, Feed
from tasks.artifacts import Simulation
from tasks.calibration.reader import BatchReader
from tasks.inference.noise import Noise
from tasks.inference.serving import Predictor

SAMPLES = 4

logger = logging.getLogger(__name__)


def simulate(
    quantized: Path, reader: BatchReader, batch_size: int, baseline: Predictor, candidate: Predictor
) -> Simulation | None:
    """The simulation of `quantized` and the candidate made of it, both against the baseline on the reader's
    first samples, `batch_size` at a time at most.

    None where Paddle cannot run it: convolutions with the channels last in the fake-quant format, and models
    that want more samples at a time than there are.
    """
    feeds = list(reader.batches(min(batch_size, SAMPLES), limit=SAMPLES))
    rounding, int8 = Noise(), Noise()
    try:
        for feed, rounded in zip(feeds, outputs(quantized, feeds), strict=True):
            exact = baseline.run(feed)
            rounding.add(exact, rounded)
            int8.add(exact, candidate.run(feed))
    except (RuntimeError, ValueError) as error:
        logger.info("no simulation: %s", error)
        return None
    return Simulation(
        samples=sum(len(next(iter(feed.values()))) for feed in feeds),
        simulated_sqnr_db=rounding.sqnr_db,
        int8_sqnr_db=int8.sqnr_db,
    )


def outputs(folder: Path, feeds: Iterable[Feed]) -> list[list[Array]]:
    """By Paddle's executor, whose fake-quantization operators round in FP32; one list for each feed."""
    import paddle

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    with paddle.static.scope_guard(paddle.static.Scope()):
        program, _, fetches = paddle.static.load_inference_model(str(folder / "model"), executor)
        return [
            [np.array(values) for values in executor.run(program, feed=feed, fetch_list=fetches)]
            for feed in feeds
        ]
