"""Audits any Paddle model on disk, and any bundle: `paddle-int8 audit MODEL`."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.contracts.errors import ConfigError, DataError, ModelFormatError
from paddle_int8.tasks.contracts.evidence import KernelAudit
from paddle_int8.tasks.contracts.sequences import LENGTHS
from paddle_int8.tasks.contracts.suggestion import did_you_mean
from paddle_int8.tasks.engines.bundle import DEPLOYMENT, MODEL
from paddle_int8.tasks.engines.example import EXAMPLE_INPUT
from paddle_int8.tasks.engines.paddle import running
from paddle_int8.tasks.engines.paddle.files import ModelSource, find_model
from paddle_int8.tasks.engines.paddle.form import Form
from paddle_int8.tasks.engines.paddle.form_errors import convert_command, require_runnable
from paddle_int8.tasks.engines.paddle.pir.source import readable
from paddle_int8.tasks.engines.paddle.predictor import PredictorSpec, open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.switches import (
    BASELINE,
    FOREIGN_QDQ,
    QDQ,
    QUANTIZED,
    RECURRENT,
    Switches,
)
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts.bundled import bundle_inputs, engine_of
from paddle_int8.tasks.process import temporary
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.validation.latency import pin

PADDLE = "paddle"
FLOAT = "fp32"
"""What a user calls a model that is not quantized, beside the names of the layouts."""
SWITCHES = {
    Form.FLOAT: BASELINE,
    Form.FAKE_QUANT: BASELINE,
    Form.WEIGHTS: BASELINE,
    Form.QDQ: FOREIGN_QDQ,
    Form.OFFLINE: QUANTIZED,
    Form.RECURRENT: RECURRENT,
    Form.DEPLOYABLE_QDQ: QDQ,
}
"""How a model of each form is opened. The fake-quant format, which simulates INT8, runs in FP32."""
FREE_SIDE = 224
"""The size that is given to a free dimension other than the batch: the usual side of a picture."""
STEPS = 32
"""The number of steps that a generated sequence is given."""
INFERENCES = 3
TIMEOUT_S = 1800

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRequest:
    """`layout` None is read from the program's operators; `input_npz` None generates inputs, seeded."""

    files: ModelFiles
    layout: str | None = None
    input_npz: Path | None = None
    batch_size: int = 1
    inferences: int = INFERENCES
    threads: int = 1


def audit_isolated(
    model: Path, layout: str | None, *, params_filename: str | None = None, input_npz: Path | None = None
) -> KernelAudit:
    """Audits a model directory, a model file or a bundle, in an isolated process.

    A bundle of another engine than Paddle is audited by its engine.
    Raises: ConfigError for an unknown layout, and what `audit_model` raises.
    """
    if (deployment := model / DEPLOYMENT).is_file():
        packed = json.loads(deployment.read_text(encoding="utf-8"))["layout"]
        if LAYOUTS.find(packed).engine != PADDLE:
            return _isolated(audit_bundle, model.resolve(), (input_npz or model / EXAMPLE_INPUT).resolve())
        layout = layout or packed
        model, input_npz = model / MODEL, input_npz or model / EXAMPLE_INPUT
    _require_auditable(layout)
    request = AuditRequest(
        files=ModelFiles(path=model.resolve(), params_filename=params_filename),
        layout=layout,
        input_npz=input_npz.resolve() if input_npz else None,
    )
    return _isolated(audit_model, request)


def _isolated(function: Callable[..., KernelAudit], *arguments: object) -> KernelAudit:
    with tempfile.TemporaryDirectory(prefix=temporary.prefix()) as folder:
        log = Path(folder) / "audit.log"
        return run_isolated(function, *arguments, step="audit", log=log, timeout_s=TIMEOUT_S)


def _require_auditable(layout: str | None) -> None:
    """Requires a layout that Paddle runs, or none.

    Raises: ConfigError when there is no such layout, or an engine runs it that opens no Paddle model.
    """
    known = (FLOAT, *LAYOUTS.names())
    if layout is not None and layout not in known:
        raise ConfigError(
            found=f"layout {layout}{did_you_mean(layout, known)}",
            required=f"one of {', '.join(known)}",
            remedy="leave it out to have it read from the model",
        )
    if layout not in (None, FLOAT) and (engine := LAYOUTS.find(layout).engine) != PADDLE:
        raise ConfigError(
            found=f"layout {layout}, which the engine {engine} runs",
            required=f"the model in a bundle, or a layout that the engine {PADDLE} runs",
            remedy="name the folder of the bundle: it holds an input and how its engine opens it",
        )


def audit_bundle(bundle: Path, input_npz: Path) -> KernelAudit:
    """What the engine of a bundle says that it runs of the model. In the isolated process only.

    Raises: DataError when `input_npz` cannot be read, and what the engine raises.
    """
    engine = engine_of(bundle)
    engine.load()
    predictor = engine.open_bundle(bundle)
    feed = _stored(input_npz, bundle_inputs(bundle))
    predictor.run(feed)
    return engine.audit(predictor, feed, inferences=INFERENCES, expect_int8=True)


def audit_model(request: AuditRequest) -> KernelAudit:
    """Reports what oneDNN runs of a floating-point or quantized model, with the switches of its layout.

    For a quantized model, the compute operators of its program that oneDNN does not run are counted too. A
    model in FP16, BF16 or FP64 is cast to FP32, as a release casts it. The function runs in the isolated
    process only.
    Raises: ModelFormatError when the model cannot be opened or no CPU can run it; DataError when the input
    doesn't fit.
    """
    pin(request.threads)
    with readable(find_model(request.files)) as source:
        form = require_runnable(source)
        switches, per_kernel = _opened_as(request.layout, form)
        logger.info("auditing %s, which is %s, with %s", source.program, form, switches)
        with tempfile.TemporaryDirectory(prefix=temporary.prefix()) as folder:
            return _audit(request, source, form, switches, per_kernel=per_kernel, folder=Path(folder))


def _opened_as(name: str | None, form: Form) -> tuple[Switches, bool]:
    """How a model is opened, and whether one kernel is one operator (see `Layout`)."""
    if name is None or name == FLOAT:
        return SWITCHES[form if name is None else Form.FLOAT], form is not Form.RECURRENT
    layout = LAYOUTS.find(name)
    switches: Switches = layout.switches
    if form is Form.QDQ:  # as PaddleSlim writes it: nothing was converted that these passes are for
        switches = replace(switches, inserted_passes=())
    return switches, layout.operator_per_kernel


def _audit(
    request: AuditRequest,
    source: ModelSource,
    form: Form,
    switches: Switches,
    *,
    per_kernel: bool,
    folder: Path,
) -> KernelAudit:
    """Audits one model. A model that must be cast to FP32 is written to `folder`."""
    from paddle_int8.tasks.engines.paddle.census import census
    from paddle_int8.tasks.engines.paddle.conversion.integer_weights import integers_in_fp32
    from paddle_int8.tasks.engines.paddle.gpu_only import require_cpu
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program, tensor_specs
    from paddle_int8.tasks.engines.paddle.rewrites.float_types import cast_to_fp32

    loaded = load_program(source, quantized=form is not Form.FLOAT)
    require_cpu(loaded, source.program)
    if form is Form.QDQ and switches.onednn_int8 and integers_in_fp32(loaded):
        raise _unscaled(source)
    spec = PredictorSpec(
        program=source.readable, params=source.params, switches=switches, threads=request.threads
    )
    if cast_to_fp32(loaded):
        save_program(loaded, folder)
        spec = spec_of(folder, switches, request.threads)
    specs = tensor_specs(loaded.program, loaded.feeds)
    feed = _stored(request.input_npz, specs) if request.input_npz else generated(specs, request.batch_size)
    predictor = open_predictor(spec)
    predictor.run(feed)
    return running.audit(
        predictor,
        feed,
        inferences=request.inferences,
        expect_int8=switches != BASELINE,
        census=census(loaded.program) if per_kernel else None,
    )


def _unscaled(source: ModelSource) -> ModelFormatError:
    return ModelFormatError(
        found=f"{source.program} is {Form.QDQ} with integer weights that are stored as FP32, as "
        "`paddle.quantization` exports them: Paddle's predictor multiplies them without their scales",
        required="INT8 weights, as a conversion stores them",
        remedy=f"convert it: `{convert_command(source)}`",
    )


def generated(specs: Iterable[TensorSpec], batch_size: int) -> Feed:
    """Generates inputs: normally distributed values, or ones for integer inputs, which are mostly ids.

    Every sequence has `STEPS` steps.
    """
    random = np.random.default_rng(0)
    feed: Feed = {}
    for spec in specs:
        shape = (batch_size, *(FREE_SIDE if side < 0 else side for side in spec.shape[1:]))
        if spec.sequence:
            shape = (batch_size, STEPS, *shape[1:])
            feed[spec.name + LENGTHS] = np.full(batch_size, STEPS)
        dtype = np.dtype(spec.dtype)
        values = random.standard_normal(shape) if dtype.kind == "f" else np.ones(shape)
        feed[spec.name] = values.astype(dtype)
    return feed


def _stored(path: Path, specs: tuple[TensorSpec, ...]) -> Feed:
    required = ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in specs)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            lengths = {name: arrays[name] for name in arrays.files if name.endswith(LENGTHS)}
            return {spec.name: arrays[spec.name].astype(spec.dtype) for spec in specs} | lengths
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            found=f"{path}: {error}",
            required=f"an .npz with {required}",
            remedy="save it with `numpy.savez(path, **{name: array})`",
        ) from error
