"""Calibration of the recurrent operators `gru` and `lstm`, which PaddleSlim does not quantize for oneDNN.

oneDNN gives a recurrent layer one scale for its input and its hidden state together, so that the larger
threshold of the two counts. Paddle's own quantizer works when a model is loaded, and gives other scales each
time that it runs on the same batch. Here the scales are computed once, and the conversion writes them into
the model.
"""

from __future__ import annotations

import hashlib
import json
import logging
import resource
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.errors import QuantizationError
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import FILES, MODEL_FILENAME, find_model
from paddle_int8.tasks.engines.paddle.original import baseline_folder
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.quantization.preparation import Magnitudes, prepared
from paddle_int8.tasks.engines.paddle.quantization.ptq import RECURRENT, PtqOutcome, PtqRequest
from paddle_int8.tasks.engines.paddle.switches import NATIVE_FP32
from paddle_int8.tasks.process.progress import report
from paddle_int8.tasks.store.folder import file_digest

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Slot, StoredOperator

EQUAL = 1e-5
"""The largest difference that another order of sums explains, as a share of the greatest output or of 1,
whichever is more.

FP32 rounds to 6e-8 of a value, so what some hundred additions leave grows with the values: scores near 20,
such as those of a trained CTC reader, differ by 1.6e-5 between two right programs. Outputs below 1 are held
to the absolute limit, since a relative one would refuse the rounding of larger values inside.
"""
SCALES = "scales.json"

logger = logging.getLogger(__name__)


def quantize_recurrent(request: PtqRequest) -> PtqOutcome:
    """Copies the model and writes `scales.json`: a threshold for the input and the hidden state of every
    recurrent operator. Isolated process only.

    Raises: QuantizationError when the model has no operator that this layout reaches, or was rewritten
    for it and now gives other answers.
    """
    started = time.monotonic()
    rule = _rule(request)
    reader = BatchReader(request.calibration, request.model.inputs)
    _require_equal(request.model.folder, next(iter(reader.batches(len(reader)))))
    with prepared(request) as changed:
        return _quantized(changed, rule, reader, started)


def _rule(request: PtqRequest) -> Magnitudes:
    """The algorithm's rule for thresholds.

    Raises: QuantizationError when the candidate's algorithm finds no threshold for this layout, or the
    candidate has overrides.
    """
    if request.candidate.overrides:
        raise QuantizationError(
            found=f"operators to keep in FP32 in {request.candidate.name}",
            required="no overrides in the layout `recurrent`, which quantizes recurrent layers alone",
            remedy="correct the strategy that asked for the candidate",
        )
    if request.magnitudes is None:
        raise QuantizationError(
            found=f"the algorithm {request.candidate.algorithm}, which needs PaddleSlim",
            required="for the layout `recurrent` an algorithm that finds a threshold in magnitudes",
            remedy="correct the strategy that asked for the candidate",
        )
    return request.magnitudes


def _quantized(request: PtqRequest, rule: Magnitudes, reader: BatchReader, started: float) -> PtqOutcome:
    for name in FILES:
        shutil.copyfile(request.model.folder / name, request.folder / name)
    counts, tensors = _recurrent_tensors(request.folder)
    step = f"quantize {request.candidate.name}"
    network = _Network(request.folder)
    values: dict[str, list[Array]] = {name: [] for name in tensors}
    for done, feed in enumerate(reader.batches(request.batch_size)):
        report(step, min(done * request.batch_size, len(reader)), len(reader))
        for name, found in zip(tensors, network.activations(feed, tensors), strict=True):
            values[name].append(np.abs(found).reshape(-1))
    thresholds = {name: rule(found, request.config) for name, found in values.items()}
    (request.folder / SCALES).write_text(json.dumps(thresholds, indent=1), encoding="utf-8")
    logger.info("thresholds: %s", thresholds)
    return PtqOutcome(
        digest=_digest(request.folder),
        quantized_ops=dict(counts),
        tensors_calibrated=len(thresholds),
        seconds=time.monotonic() - started,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _digest(folder: Path) -> str:
    """A digest of the model and its scales. Candidates of one model differ in it from the first letter on."""
    both = f"{program_digest(folder)}{file_digest(folder / SCALES)}"
    return hashlib.sha256(both.encode()).hexdigest()


def _recurrent_tensors(folder: Path) -> tuple[Counter[str], tuple[str, ...]]:
    """The recurrent operators by type, and the names of their inputs and hidden states."""
    from paddle_int8.tasks.engines.paddle.program import parse_program

    program = folder / MODEL_FILENAME
    operators = [op for block in parse_program(program.read_bytes(), program).blocks for op in block.ops]
    counts = reachable(operators)
    names = [name for op in operators if op.type in RECURRENT for name in _tensors_of(op, operators)]
    return counts, tuple(dict.fromkeys(names))


def _tensors_of(op: StoredOperator, operators: Sequence[StoredOperator]) -> tuple[str, str]:
    """The names of the input of the fully connected layer in front of `op`, and of the hidden state."""
    writers = {name: each for each in operators for slot in each.outputs for name in slot.arguments}
    before = writers.get(_argument(op.inputs, "Input"))
    if before is not None and before.type == "elementwise_add":
        before = writers.get(_argument(before.inputs, "X"))
    if before is None or before.type != "mul":
        raise QuantizationError(
            found=f"an operator `{op.type}` that reads what `{before.type if before else 'feed'}` wrote",
            required="a fully connected layer before it, which is computed together with it",
            remedy="export the layer as `mul`, or as `mul` and `elementwise_add`",
        )
    return _argument(before.inputs, "X"), _argument(op.outputs, "Hidden")


def _argument(slots: Iterable[Slot], name: str) -> str:
    return next(str(slot.arguments[0]) for slot in slots if slot.parameter == name)


class _Network:
    """The FP32 model, run to read its inner activations."""

    def __init__(self, folder: Path) -> None:
        import paddle

        from paddle_int8.tasks.engines.paddle.program import load_program

        self._loaded = load_program(find_model(ModelFiles(path=folder)))
        self._executor = paddle.static.Executor(paddle.CPUPlace())

    def activations(self, feed: Feed, names: Sequence[str]) -> list[Array]:
        import paddle

        from paddle_int8.tasks.engines.paddle.quantization.tensors import fed

        tensors = fed(feed, self._loaded.feeds)
        with paddle.static.scope_guard(self._loaded.scope):
            found = self._executor.run(
                self._loaded.program, feed=tensors, fetch_list=list(names), return_numpy=False
            )
        return [np.array(each) for each in found]


def _require_equal(folder: Path, feed: Feed) -> None:
    """Requires equal answers of a rewritten model and the user's, in FP32.

    Raises: QuantizationError when they differ.
    """
    if baseline_folder(folder) == folder:
        return
    original, rewritten = (
        open_predictor(spec_of(each, NATIVE_FP32, 1)).run(feed) for each in (baseline_folder(folder), folder)
    )
    largest = max(difference(one, other) for one, other in zip(original, rewritten, strict=True))
    logger.info("rewritten with legacy operators: outputs differ by at most %.3g", largest)
    if not largest < EQUAL:
        raise QuantizationError(
            found=f"the model with `lstm` operators differs from the one given by up to {largest:.3g}",
            required=f"less than {EQUAL:g} of the greatest output, or of 1 where that is more, on the "
            "calibration samples, in FP32",
            remedy="release it without the layout `recurrent`, and report the model's structure as a defect",
        )


def difference(original: Array, rewritten: Array) -> float:
    """The greatest absolute difference, divided by the greatest magnitude of `original` if that is above 1.

    NaN when either holds one; NaN is below no limit.
    """
    greatest = float(np.abs(original).max(initial=1.0))
    return float(np.abs(original - rewritten).max(initial=0)) / greatest


def reachable(operators: Iterable[StoredOperator]) -> Counter[str]:
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
            required="at least one: the `recurrent` layout is for them",
            remedy="take the layouts `offline` and `qdq` in `quantization.layouts`",
        )
    return counts
