"""Quantization-aware training: the FP32 model is trained further with its rounding simulated (`quant_aware`).

One training serves every layout. It learns the weights and the scales of the activations. The code that
writes post-training candidates then writes each layout with them, while PaddleSlim's own `convert` would
write one format for each training.
"""

from __future__ import annotations

import json
import logging
import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from paddle_int8.tasks.config.callables import imported
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import QatConfig
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, ModelArtifact
from paddle_int8.tasks.contracts.errors import PipelineError, QuantizationError, TrainingError
from paddle_int8.tasks.engines.paddle.blocks import hide_from_slim, tensor_of
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.private.networks import learning_rate_of
from paddle_int8.tasks.engines.paddle.training.checkpoint import Checkpoint
from paddle_int8.tasks.process.progress import report

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array
    from paddle_int8.tasks.data.reader import BatchReader
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.training.loop import History
    from paddle_int8.tasks.engines.paddle.types import Program, Scope, Variable

STEP = "quantization-aware training"
SCALE = "@scale"
"""PaddleSlim's suffix of the variable that holds a tensor's scale."""
SCALES_FILE, HISTORY_FILE = "scales.json", "history.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneRequest:
    """A model to train further, and the data to train it on.

    `op_types` to `weight_quantize_type` are those of the release. `checkpoint` belongs to this very request.
    """

    model: ModelArtifact
    data: DatasetArtifact
    config: QatConfig
    op_types: tuple[str, ...]
    skip_tensors: tuple[str, ...]
    keep_fp32: tuple[str, ...]
    weight_quantize_type: str
    folder: Path
    checkpoint: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneOutcome:
    """What `finetune` wrote, see `tasks.contracts.artifacts.FinetunedArtifact`."""

    digest: str
    steps: int
    resumed_from: int
    seconds: float
    peak_memory_bytes: int


def finetune_model(request: FinetuneRequest) -> FinetuneOutcome:
    """Writes the trained FP32 model, `scales.json` and `history.json`. Runs in an isolated process.

    Raises: TrainingError when the loss is not finite, QuantizationError for a model with sequences, or one
    that PaddleSlim cannot train.
    """
    _require_one_shape(request)
    import paddle

    from paddle_int8.tasks.engines.paddle.program import LoadedProgram, load_program, save_program

    started = time.monotonic()
    source = find_model(ModelFiles(path=request.model.folder))
    paddle.enable_static()
    paddle.seed(request.config.seed)
    trained, original = load_program(source), load_program(source)
    try:
        history, scales = _train(request, trained)
    except PipelineError:
        raise
    except Exception as error:  # PaddleSlim may raise anything, and so may a strange model
        logger.exception("the training failed")
        raise QuantizationError(
            found=f"the model could not be trained: {type(error).__name__}: {error}",
            required="a model whose operators have gradients, and labelled data of its kind",
            remedy="see the log; leave the operator out of `quantization.op_types`, or use post-training "
            "algorithms for this model",
        ) from error
    save_program(
        LoadedProgram(
            program=original.program, scope=trained.scope, feeds=original.feeds, fetches=original.fetches
        ),
        request.folder,
    )
    (request.folder / SCALES_FILE).write_text(json.dumps(scales, indent=1), encoding="utf-8")
    records = {"loss": history.losses, "accuracy": [_number(value) for value in history.accuracies]}
    (request.folder / HISTORY_FILE).write_text(json.dumps(records), encoding="utf-8")
    return FinetuneOutcome(
        digest=program_digest(request.folder),
        steps=len(history.losses),
        resumed_from=history.resumed_from,
        seconds=time.monotonic() - started,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _require_one_shape(request: FinetuneRequest) -> None:
    if sequences := [spec.name for spec in request.model.inputs if spec.sequence]:
        raise QuantizationError(
            found=f"the algorithm `qat` for a model with sequences ({', '.join(sequences)})",
            required="samples of one shape, from which batches of training are drawn",
            remedy="leave `qat` out of `quantization.algorithms`; post-training algorithms take sequences",
        )


def total_steps(samples: int, config: QatConfig) -> int:
    return config.epochs * max(1, samples // config.batch_size)


def _train(request: FinetuneRequest, loaded: LoadedProgram) -> tuple[History, dict[str, float]]:
    """The history, and the learned scale of each activation. The weights are in `loaded.scope`."""
    import paddle

    from paddle_int8.tasks.data.reader import BatchReader
    from paddle_int8.tasks.engines.paddle.layer_names import keep_layers_fp32
    from paddle_int8.tasks.engines.paddle.quantization.trainable import make_trainable, use_onednn
    from paddle_int8.tasks.engines.paddle.training.loop import Variables, cosine_rate, epoch_rows, fit

    config, scope = request.config, loaded.scope
    reader = BatchReader(request.data, request.model.inputs)
    executor, startup = paddle.static.Executor(paddle.CPUPlace()), paddle.static.Program()
    with (
        paddle.static.scope_guard(scope),
        paddle.static.program_guard(loaded.program, startup),
        paddle.utils.unique_name.guard("qat_"),
    ):
        parameters = make_trainable(loaded.program, freeze_batch_norm=config.freeze_batch_norm)
        label = paddle.static.data("qat_label", [None, 1], "int64")
        outputs = [loaded.program.global_block().var(name) for name in loaded.fetches]
        loss = _objective(config.objective)(outputs, label)
        _skip(loaded.program, request.skip_tensors)
        keep_layers_fp32(loaded, request.keep_fp32)
        optimizer = paddle.optimizer.Adam(config.learning_rate, parameters=parameters)
        optimizer.minimize(loss)
        executor.run(startup)
        program = _quant_aware(request, loaded.program, scope)
        use_onednn(program)
        steps = total_steps(len(reader), config)
        rate = tensor_of(scope, learning_rate_of(optimizer))

        found: dict[str, float] = {}

        def step(number: int) -> tuple[float, float]:
            # PaddleSlim's program has lost the optimizer's schedule, so that the rate would never change
            now = np.array([cosine_rate(number, steps, config.learning_rate)], np.float32)
            rate.set(now, paddle.CPUPlace())
            rows = epoch_rows(number, samples=len(reader), batch=config.batch_size, seed=config.seed)
            labels = _labels(reader, rows)
            values = executor.run(
                program,
                feed=reader.take(rows) | {"qat_label": labels},
                fetch_list=[loss.name, loaded.fetches[0]],
                scope=scope,
            )
            found.update(loss=float(values[0]), accuracy=_share_right(values[1], labels))
            return found["loss"], found["accuracy"]

        def tell(done: int, total: int, note: str) -> None:
            report(STEP, done, total, note, dict(found))

        history = fit(
            step,
            steps,
            Variables(program, scope),
            Checkpoint(request.checkpoint),
            tell,
            save_every_s=config.checkpoint_every_s,
        )
        _require_finite(parameters, scope)
        return history, _learned_scales(program, scope)


def _skip(program: Program, tensors: tuple[str, ...]) -> None:
    """Makes PaddleSlim leave the operators in FP32 that read one of `tensors`."""
    for op in program.global_block().ops:
        if set(op.input_arg_names) & set(tensors):
            hide_from_slim(op)


def _quant_aware(request: FinetuneRequest, program: Program, scope: Scope) -> Program:
    import paddle
    from paddleslim.quant import quant_aware

    made: Program = quant_aware(
        program,
        paddle.CPUPlace(),
        {
            "onnx_format": False,
            "quantize_op_types": list(request.op_types),
            "weight_quantize_type": request.weight_quantize_type,
            "activation_quantize_type": request.config.activation_quantize_type,
        },
        scope=scope,
        for_test=False,
        return_program=True,
    )
    return made


def _learned_scales(program: Program, scope: Scope) -> dict[str, float]:
    """The learned scale of each activation, by tensor.

    Scales of weights, one for each channel, are computed from the trained weights later.
    """
    scales = {}
    for variable in program.list_vars():
        if variable.persistable and variable.name.endswith(SCALE):
            values = np.array(tensor_of(scope, variable.name)).reshape(-1)
            if values.size == 1 and math.isfinite(values[0]) and values[0] > 0:
                scales[variable.name.removesuffix(SCALE)] = float(values[0])
    return dict(sorted(scales.items()))


def _require_finite(parameters: list[Variable], scope: Scope) -> None:
    """Checks the weights after the last step, since no loss has seen its update.

    Raises: TrainingError for NaN or infinity.
    """
    for parameter in parameters:
        if not np.isfinite(np.array(tensor_of(scope, parameter.name))).all():
            raise TrainingError(
                found=f"NaN or infinity in {parameter.name} after the last step",
                required="finite values",
                remedy="lower `quantization.qat.learning_rate`",
            )


def _objective(name: str) -> Callable[[list[Variable], Variable], Variable]:
    """The function (outputs, label [N, 1]) -> loss, which builds the loss into the static program."""
    if name == "cross_entropy":
        return _cross_entropy
    try:
        found = imported(name)
    except (ImportError, AttributeError) as error:
        raise QuantizationError(
            found=f"no objective {name} ({error})",
            required="`cross_entropy`, or `package.module:function` of (outputs, label) -> loss",
            remedy="correct `quantization.qat.objective`; PYTHONPATH must reach the module",
        ) from error
    return cast("Callable[[list[Variable], Variable], Variable]", found)


def _cross_entropy(outputs: list[Variable], label: Variable) -> Variable:
    """The loss of logits, or of probabilities when the model ends in a softmax."""
    import paddle

    writer = next(op for op in outputs[0].block.ops if outputs[0].name in op.output_arg_names)
    softmax = writer.type == "softmax"
    loss: Variable = paddle.nn.functional.cross_entropy(outputs[0], label, use_softmax=not softmax)
    return loss


def _labels(reader: BatchReader, rows: Array) -> Array:
    if reader.labels is None:
        raise QuantizationError(
            found="training data without labels",
            required="a label for every sample of `quantization.qat.data`",
            remedy="add labels to the source",
        )
    return reader.labels[rows, None]


def _share_right(output: Array, labels: Array) -> float:
    if output.ndim != 2 or output.shape[1] < 2:
        return math.nan
    return float((output.argmax(axis=1) == labels[:, 0]).mean())


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
