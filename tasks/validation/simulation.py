"""Runs PaddleSlim's simulation of a candidate, which shows what rounding alone costs, without INT8 kernels.

This module runs in the isolated process only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.evidence import Simulation
from paddle_int8.tasks.contracts.sequences import padded
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines.engine import Predictor
from paddle_int8.tasks.validation.noise import Noise

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Tensor

SAMPLES = 4

logger = logging.getLogger(__name__)


def simulate(
    quantized: Path,
    reader: BatchReader,
    batch_size: int,
    baseline: Predictor,
    candidate: Predictor,
    ignored: frozenset[int] = frozenset(),
) -> Simulation | None:
    """Compares the simulation and the candidate made from it with the baseline, on the same few samples.

    quantized: the folder of PaddleSlim's output. batch_size: the most samples at a time. ignored: the indices
    of outputs that are set to `ignore`.

    Returns None when Paddle cannot run the simulation. Seen on convolutions with the channels last in the
    fake-quant format, and on models whose fixed batch has more samples than are simulated.
    """
    feeds = list(reader.batches(min(batch_size, SAMPLES), limit=SAMPLES))
    rounding, int8 = Noise(ignored=ignored), Noise(ignored=ignored)
    try:
        for feed, rounded in zip(feeds, outputs(quantized, feeds), strict=True):
            exact = baseline.run(feed)
            rounding.add(exact, rounded)
            int8.add(exact, candidate.run(feed))
    except (RuntimeError, ValueError) as error:
        logger.info("PaddleSlim's simulation cannot be run: %s", error)
        return None
    return Simulation(
        samples=sum(len(next(iter(feed.values()))) for feed in feeds),
        simulated_sqnr_db=rounding.sqnr_db,
        int8_sqnr_db=int8.sqnr_db,
        simulated_by_output_db=rounding.by_output_db(len(baseline.output_names)),
        int8_by_output_db=int8.by_output_db(len(baseline.output_names)),
    )


def outputs(folder: Path, feeds: Iterable[Feed]) -> list[list[Array]]:
    """The simulation's outputs, one list for each feed.

    Paddle's executor runs the program; its fake-quantization operators round, and compute in FP32.
    """
    import paddle

    from paddle_int8.tasks.engines.paddle.quantization.tensors import fed

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    with paddle.static.scope_guard(paddle.static.Scope()):
        program, names, fetches = paddle.static.load_inference_model(str(folder / "model"), executor)
        runs = [
            executor.run(program, feed=fed(feed, names), fetch_list=fetches, return_numpy=False)
            for feed in feeds
        ]
        return [[_rows(tensor) for tensor in tensors] for tensors in runs]


def _rows(tensor: Tensor) -> Array:
    """The output as an array. Sequences are padded to [N, longest, ...], as the predictor pads them."""
    values, lod = np.array(tensor), tensor.lod()
    return padded(values, np.diff(lod[0])) if lod else values
