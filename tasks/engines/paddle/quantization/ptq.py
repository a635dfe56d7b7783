"""Post-training quantization of one candidate with PaddleSlim, in an isolated process.

PaddleSlim's `quant_post_static` retries with fewer arguments when anything fails, and so shows the error of
the second try. Here its class is called directly, and the first error is shown.
"""

from __future__ import annotations

import json
import logging
import math
import random
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate, DatasetArtifact, ModelArtifact
from paddle_int8.tasks.contracts.errors import PipelineError, QuantizationError, storage_error
from paddle_int8.tasks.contracts.vocabulary import Observed, QuantizedForm
from paddle_int8.tasks.engines.paddle.blocks import is_skipped
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import FILES
from paddle_int8.tasks.engines.paddle.quantization.observation import AFTERWARDS
from paddle_int8.tasks.engines.paddle.quantization.observe import calibrator_of, observations
from paddle_int8.tasks.engines.paddle.quantization.preparation import (
    Histogram,
    Magnitudes,
    Prepare,
    prepared,
)
from paddle_int8.tasks.engines.paddle.quantization.seen import Seen, Threshold, load, merged

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.quantization.calibrator import Batches, Calibrator
    from paddle_int8.tasks.engines.paddle.types import Program, Scope

RECURRENT = frozenset({"gru", "lstm"})
"""Operators on sequences that the layout `recurrent` is for."""
QUANTIZERS = ("fake_quantize", "fake_channel_wise_quantize", "quantize_linear", "dequantize_linear")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PtqRequest:
    """One candidate to make from `model`, into the existing `folder`.

    form: the form that the candidate's layout takes.
    batch_size: the number of samples in a batch.
    slim: PaddleSlim's own algorithm; None where it has none that finds the same thresholds.
    threshold: the algorithm's rule for thresholds. observes: what the calibration must see for it.
    observations: folders with what it saw; without any, the model is observed anew.
    histogram: the algorithm's rule for histograms, which counts instead; None where it has none.
    magnitudes: the algorithm's rule for layouts that take FP32 models with scales; None where it has none.
    prepare: what the algorithm does to the FP32 model.
    trained: whether the model was trained with its rounding simulated.
    learned: thresholds that a training has found, by tensor; they replace the calibrated ones.
    """

    model: ModelArtifact
    calibration: DatasetArtifact
    candidate: Candidate
    form: QuantizedForm
    config: QuantizationConfig
    batch_size: int
    folder: Path
    slim: str | None
    threshold: Threshold
    observes: frozenset[Observed]
    observations: tuple[Path, ...] = ()
    histogram: Histogram | None = None
    magnitudes: Magnitudes | None = None
    prepare: Prepare | None = None
    trained: bool = False
    learned: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PtqOutcome:
    """What `quantize_model` wrote: the fields of a QuantizedArtifact, without its paths."""

    digest: str
    quantized_ops: dict[str, int]
    tensors_calibrated: int
    seconds: float
    peak_memory_bytes: int
    operators: tuple[str, ...] = ()


def quantize_model(request: PtqRequest) -> PtqOutcome:
    """Writes `model.pdmodel`, `model.pdiparams` and `scales.json`. Runs in an isolated process.

    Raises: QuantizationError with the first error of what failed, or when nothing could be quantized.
    """
    from paddle_int8.tasks.data.reader import BatchReader

    recurrent = sorted(RECURRENT & request.model.census.counts.keys())
    if recurrent and any(spec.sequence for spec in request.model.inputs):
        raise QuantizationError(
            found=f"layout {request.candidate.layout} for {', '.join(recurrent)} on sequences",
            required="layout `recurrent`, the one whose recurrent operators run in INT8",
            remedy="set `quantization.layouts: [recurrent]`",
        )
    return quantize_with(request, BatchReader(request.calibration, request.model.inputs))


def quantize_with(request: PtqRequest, samples: Batches) -> PtqOutcome:
    """`quantize_model` on the given samples instead of the request's data set."""
    started = time.monotonic()
    with prepared(request) as changed:
        return _quantized(changed, samples, started)


def _quantized(request: PtqRequest, samples: Batches, started: float) -> PtqOutcome:
    import paddle

    paddle.enable_static()
    _seed(request.calibration.seed)
    scope = paddle.static.Scope()
    with paddle.static.scope_guard(scope), paddle.utils.unique_name.guard():
        try:
            calibrator = _calibrator(request, samples, scope, *_thresholds(request, samples))
            calibrator.quantize()
        except PipelineError:
            raise
        except Exception as error:  # PaddleSlim may raise anything, and so may a strange model
            logger.exception("quantizing %s failed", request.candidate.name)
            raise QuantizationError(
                found=f"{request.candidate.name} could not be made: {type(error).__name__}: {error}",
                required="a model and options that PaddleSlim can quantize",
                remedy="see the log; name the operator's input in `skip_tensors`, or try another algorithm",
            ) from error
        quantized = _quantized_operators(calibrator.program, request.config.op_types)
        _save(calibrator, request.folder)
    outcome = PtqOutcome(
        digest=program_digest(request.folder),
        quantized_ops=dict(Counter(quantized.values())),
        operators=tuple(quantized),
        tensors_calibrated=calibrator.calibrated,
        seconds=time.monotonic() - started,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    logger.info("%s: %s", request.candidate.name, outcome)
    return outcome


def _seed(seed: int) -> None:
    import paddle

    random.seed(seed)
    np.random.seed(seed)
    paddle.seed(seed)


def _thresholds(request: PtqRequest, samples: Batches) -> tuple[dict[str, float] | None, int]:
    """The thresholds of all activations, and how many reports were made of it.

    They are None where PaddleSlim's own code finds them.
    """
    config, done = request.config, 0
    if not config.fast_calibration and request.slim is not None:
        return None, done
    observed = [load(folder) for folder in request.observations]
    if not observed:
        batches = math.ceil(len(samples) / request.batch_size)
        observed, done = observations(
            request.model.folder,
            samples,
            kinds=sorted(request.observes),
            form=request.form,
            step=f"quantize {request.candidate.name}",
            batch_size=request.batch_size,
            op_types=config.op_types,
            fast=config.fast_calibration,
            more=batches * _adaround(request) + AFTERWARDS,
        )
    rule = _rule(request)
    return {name: rule(seen, config) for name, seen in merged(observed).items()}, done


def _adaround(request: PtqRequest) -> bool:
    """Whether weights are rounded by `adaround`. Never after a training, which taught them the nearest."""
    return request.config.round_type == "adaround" and not request.trained


def _calibrator(
    request: PtqRequest, samples: Batches, scope: Scope, found: dict[str, float] | None, done: int
) -> Calibrator:
    config, candidate = request.config, request.candidate
    return calibrator_of(
        request.model.folder,
        samples,
        scope,
        step=f"quantize {candidate.name}",
        batch_size=request.batch_size,
        op_types=config.op_types,
        fast=config.fast_calibration,
        learned=request.learned,
        found=found,
        algo="abs_max" if found is not None else request.slim,
        hist_percent=config.hist_percent,
        done=done,
        adaround=_adaround(request),
        keep_mean=config.bias_correction and not request.trained,
        weight_quantize_type=config.weight_quantize_type,
        skip_tensor_list=list(config.skip_tensors),
        onnx_format=request.form is QuantizedForm.QDQ,
    )


def _rule(request: PtqRequest) -> Threshold:
    """The algorithm's rule for a threshold; one for histograms is held to its promise."""
    if (rule := request.histogram) is None:
        return request.threshold
    name = request.candidate.algorithm

    def threshold(seen: Seen, config: QuantizationConfig) -> float:
        found = float(rule(seen.counts, seen.edges, config))
        if not found > 0:
            raise QuantizationError(
                found=f"a threshold of {found:g} by the algorithm {name}",
                required="a threshold above 0 for every tensor",
                remedy=f"correct the package that brings {name}",
            )
        return found

    return threshold


def _quantized_operators(program: Program, op_types: tuple[str, ...]) -> dict[str, str]:
    """The types of the operators that were quantized, each by its output tensor.

    These are operators of `op_types` that read a quantized tensor and are not to be skipped.
    Raises: QuantizationError when there is none.
    """
    operators = [op for block in program.blocks for op in block.ops]
    quantized = {name for op in operators if op.type.startswith(QUANTIZERS) for name in op.output_arg_names}
    found = {
        op.output_arg_names[0]: op.type
        for op in operators
        if op.type in op_types and quantized.intersection(op.input_arg_names) and not is_skipped(op)
    }
    if not found:
        types = ", ".join(sorted({op.type for op in operators}))
        raise QuantizationError(
            found=f"no operator was quantized; the model has {types}",
            required=f"at least one of {', '.join(op_types)} outside of `skip_tensors`",
            remedy="extend `quantization.op_types`, or shorten `quantization.skip_tensors`",
        )
    return found


def _save(calibrator: Calibrator, folder: Path) -> None:
    scales = {
        name: [float(value) for value in scale] if isinstance(scale, list) else float(scale)
        for name, scale in sorted(calibrator.thresholds.items())
    }
    try:
        calibrator.save_quantized_model(str(folder), *FILES)
        (folder / "scales.json").write_text(json.dumps(scales, indent=1), encoding="utf-8")
    except OSError as error:
        raise storage_error(error, folder) from error
