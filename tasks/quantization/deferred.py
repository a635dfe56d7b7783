"""The `quantizer` layout's share of quantization: the batch that Paddle calibrates on while it loads.

Paddle's oneDNN quantizer is the only way to INT8 for the legacy operators `gru` and `lstm`; it works in
memory, so the FP32 model stays what it is and the calibration batch becomes a part of it.
"""

from __future__ import annotations

import logging
import resource
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tasks.calibration.reader import BatchReader
from tasks.errors import QuantizationError
from tasks.inference.layouts import Engine
from tasks.inference.predictor import open_predictor, spec_of
from tasks.inference.serving import CALIBRATION, Feed
from tasks.model.digest import program_digest
from tasks.model.original import baseline_folder
from tasks.quantization.ptq import PtqOutcome, PtqRequest
from tasks.store import file_digest

RECURRENT = ("gru", "lstm")
EQUAL = 1e-5
"""Largest difference that sums in another order explain; outputs are scores around 1."""
FILES = ("model.pdmodel", "model.pdiparams")
TENSORS_OF_EACH = 2  # input and hidden state

logger = logging.getLogger(__name__)


def defer_quantization(request: PtqRequest) -> PtqOutcome:
    """Copies the model and writes all calibration samples beside it as one batch. Isolated process only.

    Raises: QuantizationError when the model has no operator that this layout reaches, or was rewritten
    for it and answers otherwise now.
    """
    from tasks.model.program import parse_program

    started = time.monotonic()
    for name in FILES:
        shutil.copyfile(request.model.folder / name, request.folder / name)
    program = request.folder / FILES[0]
    blocks = parse_program(program.read_bytes(), program).blocks
    counts = reachable(op for block in blocks for op in block.ops)
    reader = BatchReader(request.calibration, request.model.inputs)
    (batch,) = reader.batches(len(reader))
    _require_equal(request.model.folder, batch)
    np.savez(request.folder / CALIBRATION, **batch)
    (request.folder / "scales.json").write_text("{}", encoding="utf-8")  # they exist in the predictor only
    return PtqOutcome(
        digest=f"{program_digest(request.folder)[:32]}{file_digest(request.folder / CALIBRATION)[:32]}",
        quantized_ops=dict(counts),
        tensors_calibrated=TENSORS_OF_EACH * counts.total(),
        seconds=time.monotonic() - started,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _require_equal(folder: Path, feed: Feed) -> None:
    """Raises: QuantizationError when a rewritten model answers otherwise than the user's, in FP32."""
    if baseline_folder(folder) == folder:
        return
    original, rewritten = (
        open_predictor(spec_of(each, Engine.NATIVE_FP32, 1)).run(feed)
        for each in (baseline_folder(folder), folder)
    )
    largest = max(
        float(np.abs(one - other).max(initial=0)) for one, other in zip(original, rewritten, strict=True)
    )
    logger.info("rewritten with legacy operators: outputs differ by at most %.3g", largest)
    if not largest < EQUAL:
        raise QuantizationError(
            found=f"the model with `lstm` operators differs from the one given by up to {largest:.3g}",
            required=f"less than {EQUAL:g} on the calibration samples, in FP32",
            remedy="release it without the layout `quantizer`, and report the model's structure as a defect",
        )


def reachable(operators: Iterable[Any]) -> Counter[str]:
    """The recurrent operators (OpDesc messages) that oneDNN has INT8 kernels for.

    Raises: QuantizationError when there is none, or one is an LSTM with peepholes.
    """
    counts: Counter[str] = Counter()
    for op in operators:
        if op.type not in RECURRENT:
            continue
        if any(attribute.name == "use_peepholes" and attribute.b for attribute in op.attrs):
            raise QuantizationError(
                found="an `lstm` with peepholes, for which oneDNN has no INT8 kernel",
                required="`lstm` operators with use_peepholes=False",
                remedy="train the model without peepholes, or serve it in FP32",
            )
        counts[op.type] += 1
    if not counts:
        raise QuantizationError(
            found="no operator `gru` or `lstm` in the model",
            required="at least one: the `quantizer` layout is for them",
            remedy="take the layouts `offline` and `qdq` in `quantization.layouts`",
        )
    return counts
