"""PaddleSlim's simulation of a quantized model: what rounding costs, before any INT8 kernel.

Imports Paddle, so only functions of the isolated process import this module.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from tasks.inference.noise import Noise

logger = logging.getLogger(__name__)


def simulated_sqnr_db(fp32: Path, quantized: Path, feed: dict[str, Any]) -> float | None:
    """SQNR of the simulation's outputs for one batch, in decibel.

    None where Paddle cannot simulate: for convolutions with the channels last in the fake-quant format.
    """
    try:
        simulated = run(quantized, feed)
    except (RuntimeError, ValueError) as error:
        logger.info("no simulation: %s", error)
        return None
    noise = Noise()
    noise.add(run(fp32, feed), simulated)
    return noise.sqnr_db


def run(folder: Path, feed: dict[str, Any]) -> list[Any]:
    """By Paddle's executor, whose fake-quantization operators round in FP32."""
    executor = paddle.static.Executor(paddle.CPUPlace())
    with paddle.static.scope_guard(paddle.static.Scope()):
        program, _, fetches = paddle.static.load_inference_model(str(folder / "model"), executor)
        return [np.array(values) for values in executor.run(program, feed=feed, fetch_list=fetches)]
