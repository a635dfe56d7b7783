"""Quantization as Prefect tasks: post-training, and training with the rounding simulated."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.algorithms.code import chosen_candidate
from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.algorithms.trained import as_trained
from paddle_int8.tasks.config.quantization import QatConfig, QuantizationConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    DatasetArtifact,
    FinetunedArtifact,
    ModelArtifact,
    ObservedArtifact,
    QuantizedArtifact,
)
from paddle_int8.tasks.contracts.errors import QuantizationError
from paddle_int8.tasks.contracts.keys import Chosen, Incidental
from paddle_int8.tasks.contracts.vocabulary import Observed, QuantizedForm
from paddle_int8.tasks.engines.paddle.quantization.finetune import STEP, FinetuneRequest, finetune_model
from paddle_int8.tasks.engines.paddle.quantization.observe import ObserveRequest, observe_model
from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_model
from paddle_int8.tasks.engines.paddle.quantization.recurrent import quantize_recurrent
from paddle_int8.tasks.engines.paddle.training.checkpoint import Checkpoint
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.process.host_lock import computing
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.process.limits import threads_each
from paddle_int8.tasks.steps.step import cached, own_key, stage, step, step_log
from paddle_int8.tasks.store.folder import commit, folder_digest, scratch


@step(name="calibrate", task_run_name="calibrate {kind.value}", **cached(observe_model))
def calibrate(
    model: ModelArtifact,
    calibration: DatasetArtifact,
    kind: Observed,
    form: QuantizedForm,
    op_types: tuple[str, ...],
    batch_size: int,
    timeout_s: Incidental[float],
) -> ObservedArtifact:
    """What one pass over the calibration samples sees of every activation, for all candidates that need it.

    Its key names no algorithm, so that another algorithm needs no other calibration.
    form: the form of the layouts that it is for; see `observed_for`.

    Raises: QuantizationError when an activation is not finite.
    """
    settings, name = Settings(), f"calibrate {kind}"
    log = step_log(f"calibrate-{kind}-{form}")
    with stage(name) as summary, scratch(settings.store, "observed") as folder, computing():
        outcome = run_isolated(
            observe_model,
            ObserveRequest(
                model=model,
                calibration=calibration,
                kind=kind,
                form=form,
                op_types=op_types,
                batch_size=batch_size,
                folder=folder,
                step=name,
            ),
            step=name,
            log=log,
            timeout_s=timeout_s,
            environment={"OMP_NUM_THREADS": str(threads_each(settings.parallel_candidates))},
        )
        summary.append(f"{outcome.tensors} tensors observed")
        digest = folder_digest(folder)
        return ObservedArtifact(
            kind=kind,
            folder=commit(folder, settings.store, "observed", digest),
            digest=digest,
            tensors=outcome.tensors,
            seconds=outcome.seconds,
            log=log,
        )


def _chosen(parameters: Mapping[str, JsonValue]) -> Chosen:
    return chosen_candidate(parameters, "candidate")


@step(
    name="quantize",
    task_run_name="quantize {candidate.name}",
    **cached(quantize_model, quantize_recurrent, ptq_request, chosen=_chosen),
)
def quantize(
    model: ModelArtifact,
    calibration: DatasetArtifact,
    candidate: Candidate,
    config: QuantizationConfig,
    batch_size: int,
    finetuned: FinetunedArtifact | None = None,
    observations: tuple[ObservedArtifact, ...] = (),
) -> QuantizedArtifact:
    """The candidate's quantized model: calibrated with its algorithm, in the form that its layout takes.

    config: see `own_section`.
    finetuned: the model that the training made from `model`, for the algorithm `qat`.
    observations: what `calibrate` saw of `model`, all that the algorithm needs of it. Without any the
    candidate is calibrated by itself.

    Raises: QuantizationError with the first error of what failed.
    """
    settings, name = Settings(), f"quantize {candidate.name}"
    form = LAYOUTS.find(candidate.layout).form
    log = step_log(f"quantize-{candidate.name}")
    if finetuned is None and ALGORITHMS.find(candidate.algorithm).needs_training:
        raise QuantizationError(
            found=f"the algorithm {candidate.algorithm}, and no trained model",
            required="a training that ended well, before a candidate is made of it",
            remedy="see why the training failed, or whether `quantization.qat` describes it",
        )
    model, learned = as_trained(model, finetuned)
    with stage(name) as summary, scratch(settings.store, "quantized") as folder, computing():
        outcome = run_isolated(
            quantize_recurrent if form is QuantizedForm.FP32 else quantize_model,
            ptq_request(
                model=model,
                calibration=calibration,
                candidate=candidate,
                config=config,
                batch_size=batch_size,
                folder=folder,
                learned=learned,
                observations=observations,
            ),
            step=name,
            log=log,
            timeout_s=config.timeout_s,
            environment={"OMP_NUM_THREADS": str(threads_each(settings.parallel_candidates))},
        )
        summary.append(f"{outcome.tensors_calibrated} tensors calibrated")
        return QuantizedArtifact(
            candidate=candidate,
            folder=commit(folder, settings.store, "quantized", outcome.digest),
            digest=outcome.digest,
            quantized_ops=outcome.quantized_ops,
            operators=outcome.operators,
            tensors_calibrated=outcome.tensors_calibrated,
            seconds=outcome.seconds,
            peak_memory_bytes=outcome.peak_memory_bytes,
            log=log,
        )


@step(name=STEP, **cached(finetune_model))
def finetune(
    model: ModelArtifact,
    training: DatasetArtifact,
    config: QatConfig,
    op_types: tuple[str, ...],
    skip_tensors: tuple[str, ...],
    keep_fp32: tuple[str, ...],
    weight_quantize_type: str,
) -> FinetunedArtifact:
    """Trains the model further with its rounding simulated, once for all layouts.

    A killed run goes on from its last checkpoint when a release asks for the same training. The checkpoint
    is named by the step's own key, so that it is found as long as all that decides the training is equal.
    Raises: TrainingError when it diverges, QuantizationError when PaddleSlim cannot train the model.
    """
    settings = Settings()
    checkpoint = settings.root / "checkpoints" / own_key()[:32]
    with stage(STEP) as summary, scratch(settings.store, "finetuned") as folder, computing():
        outcome = run_isolated(
            finetune_model,
            FinetuneRequest(
                model=model,
                data=training,
                config=config,
                op_types=op_types,
                skip_tensors=skip_tensors,
                keep_fp32=keep_fp32,
                weight_quantize_type=weight_quantize_type,
                folder=folder,
                checkpoint=checkpoint,
            ),
            step=STEP,
            log=step_log("finetune"),
            timeout_s=config.timeout_s,
        )
        resumed = f", {outcome.resumed_from} of them before" if outcome.resumed_from else ""
        summary.append(f"{outcome.steps} steps{resumed}")
        kept = FinetunedArtifact(
            folder=commit(folder, settings.store, "finetuned", folder_digest(folder)),
            digest=outcome.digest,
            steps=outcome.steps,
            resumed_from=outcome.resumed_from,
            seconds=outcome.seconds,
            peak_memory_bytes=outcome.peak_memory_bytes,
            log=step_log("finetune"),
        )
        Checkpoint(checkpoint).clear()
        return kept
