"""Observes a model on its calibration samples, in an isolated process: see `observation`."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, ModelArtifact
from paddle_int8.tasks.contracts.vocabulary import Observed, QuantizedForm
from paddle_int8.tasks.engines.paddle.files import MODEL_FILENAME, PARAMS_FILENAME
from paddle_int8.tasks.engines.paddle.quantization.seen import Fields, save

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.quantization.calibrator import Batches, Calibrator
    from paddle_int8.tasks.engines.paddle.types import Scope

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveRequest:
    """A model to observe on the samples `calibration`, as a release's candidates will quantize it.

    form: the form of the layouts that the observation is for; `LOSSES` differ by it.
    op_types: the types of the operators whose tensors are observed.
    batch_size: the number of samples in a batch. fast: whether the model runs on oneDNN.
    folder: the folder into which what was seen is written.
    """

    model: ModelArtifact
    calibration: DatasetArtifact
    kind: Observed
    form: QuantizedForm
    op_types: tuple[str, ...]
    batch_size: int
    folder: Path
    step: str
    fast: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveOutcome:
    tensors: int
    seconds: float


def observe_model(request: ObserveRequest) -> ObserveOutcome:
    """Writes what was seen of every activation. Runs in an isolated process.

    Raises: QuantizationError when an activation is not finite.
    """
    from paddle_int8.tasks.data.reader import BatchReader

    return observe_with(request, BatchReader(request.calibration, request.model.inputs))


def observe_with(request: ObserveRequest, samples: Batches) -> ObserveOutcome:
    """`observe_model` on the given samples instead of the request's data set."""
    started = time.monotonic()
    (observed,), _ = observations(
        request.model.folder,
        samples,
        kinds=(request.kind,),
        form=request.form,
        step=request.step,
        batch_size=request.batch_size,
        op_types=request.op_types,
        fast=request.fast,
    )
    save(observed, request.folder)
    outcome = ObserveOutcome(tensors=len(observed), seconds=time.monotonic() - started)
    logger.info("%s: %s", request.kind, outcome)
    return outcome


def observations(
    model: Path, samples: Batches, *, kinds: Iterable[Observed], form: QuantizedForm, **options: Any
) -> tuple[list[dict[str, Fields]], int]:
    """What each of `kinds` observes of every activation, in passes that they share, and the reports made.

    options: see `calibrator_of`.
    """
    import paddle

    from paddle_int8.tasks.engines.paddle.quantization.observation import observation

    paddle.enable_static()
    scope = paddle.static.Scope()
    looking = [observation(kind, form) for kind in kinds]
    with paddle.static.scope_guard(scope), paddle.utils.unique_name.guard():
        calibrator = calibrator_of(model, samples, scope, **options)
        calibrator.observe(looking)
    return [each.observed() for each in looking], calibrator.done


def calibrator_of(
    model: Path,
    samples: Batches,
    scope: Scope,
    *,
    step: str,
    batch_size: int,
    op_types: Iterable[str],
    fast: bool,
    **options: Any,
) -> Calibrator:
    """The calibrator of the model in the folder `model`: on oneDNN when that is asked for and possible."""
    import paddle

    from paddle_int8.tasks.engines.paddle.program import parse_program
    from paddle_int8.tasks.engines.paddle.quantization.calibrator import Calibrator, Loader
    from paddle_int8.tasks.engines.paddle.quantization.fast_calibrator import FastCalibrator

    program = model / MODEL_FILENAME
    one_block = len(parse_program(program.read_bytes(), program).blocks) == 1
    kind = FastCalibrator if fast and one_block else Calibrator
    return kind(
        step=step,
        executor=paddle.static.Executor(paddle.CPUPlace()),
        scope=scope,
        model_dir=str(model),
        model_filename=MODEL_FILENAME,
        params_filename=PARAMS_FILENAME,
        data_loader=Loader(samples, batch_size),
        batch_size=batch_size,
        quantizable_op_type=list(op_types),
        **({"skip_tensor_list": []} | options),
    )
