"""Compares the FP32 baseline, which oneDNN computes, with the same model in Paddle's own ("native") kernels.

Every candidate is compared with the baseline, so an error of oneDNN in the baseline would go unnoticed.
This module runs in the isolated process only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import MeasurementError, ModelFormatError
from paddle_int8.tasks.contracts.evidence import NativeComparison, NativeOutput
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.switches import BASELINE, NATIVE_FP32, Switches
from paddle_int8.tasks.validation.fault import Fault, find_fault
from paddle_int8.tasks.validation.noise import Noise

SAMPLES = 16
CLOSE, CLOSE_DB = 1e-3, 60.0
"""An output within both limits needs no closer look: the greatest difference as a fraction of the greatest
native value, and the SQNR. Sums in another order are well within both, wrong kernels are not:

| seen on | greatest difference | SQNR |
|---|---|---|
| one layer, sums in another order | 3e-7 | |
| ResNet101, sums in another order | 1e-6 | 121 dB |
| wrong kernels | 1e-3 and more | |
"""
SURE_DB, SURE_SHARE = 40.0, 0.01
"""An output beyond these limits is wrong even if no operator at fault is found.

At 40 dB the error's root mean square is 1 % of the output's. For integer outputs, the limit is the share of
values that differ: rounding may change a class where two scores are nearly equal, but not 1 % of them.
"""
FAILED_OPERATOR = re.compile(r"operator < (\w+) > error")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeRequest:
    """The FP32 model in `folder` and the data. The model runs their first samples, `batch_size` at a time."""

    folder: Path
    inputs: tuple[TensorSpec, ...]
    data: DatasetArtifact
    batch_size: int
    threads: int


def compare_with_native(request: NativeRequest) -> NativeComparison:
    """Compares the baseline's outputs with those of Paddle's own kernels.

    When Paddle's own kernels cannot run the model, the result has no outputs and `note` gives the reason.
    Raises: MeasurementError when oneDNN computes something else, or fails where Paddle's own kernels don't.
    """
    size = request.batch_size
    reader = BatchReader(request.data, request.inputs)
    feeds = list(reader.batches(size, limit=size * max(1, SAMPLES // size)))
    try:
        native = _outputs(request, NATIVE_FP32, feeds)
    except (RuntimeError, ValueError, ModelFormatError) as error:
        logger.warning("the baseline is not verified, Paddle's own kernels cannot run the model: %s", error)
        return NativeComparison(samples=0, outputs=(), note=f"Paddle's own kernels cannot run it: {error}")
    try:
        baseline = _outputs(request, BASELINE, feeds)
    except (RuntimeError, ValueError, ModelFormatError) as error:
        raise _cannot_run(error) from error
    outputs = [_compared(name, native[name], baseline[name]) for name in native]
    for output in outputs:
        logger.info("%s", described(output))
    suspects = [output for output in outputs if not is_close(output)]
    note = _explained(request, feeds[0], suspects) if suspects else ""
    return NativeComparison(samples=_samples(feeds), outputs=tuple(outputs), note=note)


def is_close(output: NativeOutput) -> bool:
    """Whether the difference is so small that sums in another order explain it."""
    if output.sqnr_db is None:
        return output.greatest_difference == 0
    return output.greatest_difference <= CLOSE and output.sqnr_db >= CLOSE_DB


def described(output: NativeOutput) -> str:
    """Says in words how far one output is from native."""
    if output.sqnr_db is None:
        return (
            f"output {output.name}: {100 * output.greatest_difference:.2g} % of its values differ from native"
        )
    return (
        f"output {output.name} differs from native by {100 * output.greatest_difference:.2g} % of its "
        f"greatest value, {output.sqnr_db:.1f} dB"
    )


def _explained(request: NativeRequest, feed: Feed, suspects: Sequence[NativeOutput]) -> str:
    """The note that says why larger differences are tolerated: rounding decides, and no operator is wrong.

    Raises: MeasurementError when an operator is at fault, or a difference is too large for rounding.
    """
    fault = find_fault(request.folder, feed, request.threads, [output.name for output in suspects])
    found = "; ".join(map(described, suspects))
    if fault is not None or any(map(_is_sure, suspects)):
        raise _wrong(found, fault)
    logger.warning("%s; no operator is at fault for equal inputs, rounding decides", found)
    return f"{found}; no operator is at fault for equal inputs: rounding decides"


def _is_sure(output: NativeOutput) -> bool:
    if output.sqnr_db is None:
        return output.greatest_difference > SURE_SHARE
    return output.sqnr_db < SURE_DB


def _outputs(request: NativeRequest, switches: Switches, feeds: Sequence[Feed]) -> dict[str, list[Array]]:
    predictor = open_predictor(spec_of(request.folder, switches, request.threads))
    batches = [predictor.run(feed) for feed in feeds]
    return dict(zip(predictor.output_names, map(list, zip(*batches, strict=True)), strict=True))


def _compared(name: str, native: Sequence[Array], baseline: Sequence[Array]) -> NativeOutput:
    if any(left.shape != right.shape for left, right in zip(native, baseline, strict=True)):
        return NativeOutput(name=name, greatest_difference=1.0, sqnr_db=None)
    if not np.issubdtype(native[0].dtype, np.floating):
        differ = [left != right for left, right in zip(native, baseline, strict=True)]
        share = sum(int(each.sum()) for each in differ) / max(1, sum(each.size for each in differ))
        return NativeOutput(name=name, greatest_difference=share, sqnr_db=None)
    noise = Noise()
    for left, right in zip(native, baseline, strict=True):
        noise.add([left], [right])
    differences = [difference(*pair) for pair in zip(native, baseline, strict=True)]
    return NativeOutput(name=name, greatest_difference=max(differences), sqnr_db=noise.sqnr_db)


def difference(native: Array, other: Array) -> float:
    """The greatest difference, divided by the greatest native value unless that is 0.

    Returns 1.0 when the shapes differ, or when a value is finite in only one of the two.
    """
    if native.shape != other.shape or not np.array_equal(np.isfinite(native), np.isfinite(other)):
        return 1.0
    both = np.isfinite(native)
    left, right = native[both].astype(np.float64), other[both].astype(np.float64)
    greatest = float(np.abs(left).max(initial=0.0))
    apart = float(np.abs(left - right).max(initial=0.0))
    return apart if greatest == 0 else apart / greatest


def _wrong(found: str, fault: Fault | None) -> MeasurementError:
    return MeasurementError(
        found=f"FP32 on oneDNN, the baseline, is not the model: {found}"
        + (f". {fault}" if fault else ". No single operator is at fault"),
        required="the outputs of Paddle's own FP32 kernels",
        remedy=_keep_native(fault.operator)
        if fault
        else "write operator types of the model into `conversion.native_ops` until the outputs agree",
    )


def _cannot_run(error: Exception) -> MeasurementError:
    named = FAILED_OPERATOR.search(str(error))
    return MeasurementError(
        found=f"oneDNN cannot run the FP32 model, Paddle's own kernels can: {error}",
        required="a model that oneDNN runs",
        remedy=_keep_native(named.group(1))
        if named
        else "write the operator type that the message is about into `conversion.native_ops`",
    )


def _keep_native(operator: str) -> str:
    return (
        f"write `native_ops: [{operator}]` into the section `conversion`: Paddle's own kernels then run "
        "these operators, in the baseline and in every layout"
    )


def _samples(feeds: Sequence[Feed]) -> int:
    return sum(len(next(iter(feed.values()))) for feed in feeds)
