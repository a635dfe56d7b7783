"""Loading the FP32 model, and models that were quantized elsewhere, as Prefect tasks."""

from __future__ import annotations

from functools import partial

from paddle_int8.tasks.config.model import GivenFiles, ModelFiles
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import GIVEN, Candidate, ModelArtifact, QuantizedArtifact
from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.engines.paddle.files import ModelSource, find_model
from paddle_int8.tasks.engines.paddle.given.model import take_given
from paddle_int8.tasks.engines.paddle.load import prepare_model
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.process.progress import WARNING
from paddle_int8.tasks.steps.step import stage, step, step_log
from paddle_int8.tasks.store.folder import commit, scratch

TIMEOUT_S = 900


@step(name="load model")
def load_model(
    files: ModelFiles,
    *,
    legacy_recurrence: bool = False,
    native_ops: tuple[str, ...] = (),
    keep_fp32: tuple[str, ...] = (),
) -> ModelArtifact:
    """The user's model, repaired and in the store, with its inputs, its outputs and its census of operators.

    legacy_recurrence: rewrite operators `rnn` with `lstm`, for the layout `recurrent`.
    native_ops: operator types that Paddle's own kernels are to run, in the baseline and in every layout.
    keep_fp32: the patterns of `quantization.keep_fp32`, of which each must mean an operator.
    Raises: ModelFormatError when the files are not a usable FP32 model, ConfigError for a pattern that means
    no operator.
    """
    with stage("load model") as summary, scratch(Settings().store, "model") as folder:
        source = find_model(files)
        log = step_log("load-model")
        prepared = run_isolated(
            partial(prepare_model, legacy=legacy_recurrence, native_ops=native_ops, keep_fp32=keep_fp32),
            source,
            folder,
            step="load model",
            log=log,
            timeout_s=TIMEOUT_S,
        )
        census, given_in = prepared.census, prepared.cast_from
        summary.append(f"{prepared.digest[:12]}, INT8 can reach {census.quantizable} of {census.compute}")
        summary.extend(f"{WARNING}given in {name}, cast to FP32" for name in given_in)
        summary.extend(f"{WARNING}never INT8: {name} ({why})" for name, why in census.never.items())
        committed = commit(folder, Settings().store, "models", prepared.digest)
        return prepared.artifact(source, files.path, committed)


@step(name="load candidate", task_run_name="load candidate {files.called}")
def load_candidate(files: GivenFiles, model: ModelArtifact) -> QuantizedArtifact:
    """A model that was quantized elsewhere, in the store, with what is wrong with it.

    model: the FP32 model that it will be compared with.
    Raises: ModelFormatError when it is no quantized model, or has other inputs or outputs than `model`.
    """
    name, store = files.called, Settings().store
    with stage(f"load candidate {name}") as summary, scratch(store, "given") as folder:
        log = step_log(f"load-candidate-{name}")
        given_path = StoredPath(files.path).relative() or str(files.path)
        taken = run_isolated(
            take_given,
            _found(files),
            given_path,
            model,
            folder,
            step=f"load candidate {name}",
            log=log,
            timeout_s=TIMEOUT_S,
        )
        summary.append(f"{taken.given.quantized} of {taken.given.layers} layers quantized")
        summary.extend(f"{WARNING}{finding}" for finding in taken.given.findings)
        return QuantizedArtifact(
            candidate=Candidate(algorithm=GIVEN, layout=taken.layout, given=name),
            folder=commit(folder, store, "quantized", taken.digest),
            digest=taken.digest,
            quantized_ops=taken.quantized_ops,
            operators=taken.operators,
            tensors_calibrated=taken.tensors_calibrated,
            seconds=taken.seconds,
            peak_memory_bytes=taken.peak_memory_bytes,
            log=log,
            given=taken.given,
        )


def _found(files: GivenFiles) -> ModelSource:
    """The files of a candidate. Errors name the keys of the section `candidates`."""
    try:
        return find_model(files)
    except ModelFormatError as error:
        remedy = error.remedy.replace("`model.", "`candidates.")
        raise ModelFormatError(found=error.found, required=error.required, remedy=remedy) from error
