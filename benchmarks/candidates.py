"""Makes the candidates of the benchmarks that time models without a release."""

from __future__ import annotations

from pathlib import Path

from paddle_int8.tasks.config.quantization import ConversionConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.engines.paddle.quantization.ptq import PtqOutcome, PtqRequest, quantize_model
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts.layout import ConversionRequest
from paddle_int8.tasks.process.isolated import run_isolated

TIMEOUT_S = 1800


def quantized(request: PtqRequest) -> PtqOutcome:
    """Quantizes a model in a process of its own, since PaddleSlim never frees the memory that it takes."""
    log = request.folder.with_suffix(".log")
    return run_isolated(quantize_model, request, step="quantize", log=log, timeout_s=TIMEOUT_S)


def converted(candidate: Candidate, request: PtqRequest) -> Path:
    """The folder of the quantized and converted model, beside that of the request."""
    quantized(request)
    folder = request.folder.with_suffix(".int8")
    folder.mkdir()
    LAYOUTS.find(candidate.layout).convert(
        ConversionRequest(quantized=request.folder, folder=folder, config=ConversionConfig())
    )
    return folder
