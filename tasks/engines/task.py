"""Loading the FP32 model as a Prefect task."""

from __future__ import annotations

from functools import partial

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import ModelArtifact
from paddle_int8.tasks.engines.paddle.files import find_model
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
