"""The Prefect tasks that measure what each quantized operator costs a model's outputs, and what it saves."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from paddle_int8.tasks.algorithms.code import chosen_candidate
from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.algorithms.trained import as_trained
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import (
    DatasetArtifact,
    DeployableArtifact,
    FinetunedArtifact,
    ModelArtifact,
    QuantizedArtifact,
)
from paddle_int8.tasks.contracts.errors import QuantizationError
from paddle_int8.tasks.contracts.keys import Chosen, Incidental
from paddle_int8.tasks.contracts.sensitivity import Sensitivity
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, QuantizedForm
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.hardware.levels import VNNI, environment
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.process.host_lock import computing, measuring
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.sensitivity.measure import STEP, SensitivityRequest, measure_sensitivity
from paddle_int8.tasks.sensitivity.timing import STEP as TIMING
from paddle_int8.tasks.sensitivity.timing import TimingRequest, measure_times
from paddle_int8.tasks.steps.step import cached, stage, step, step_log

PADDLE = "paddle"


def _chosen(parameters: Mapping[str, JsonValue]) -> Chosen:
    return chosen_candidate(parameters, "quantized", "candidate")


@step(
    name=STEP,
    task_run_name="sensitivity {quantized.candidate.name}",
    **cached(measure_sensitivity, ptq_request, chosen=_chosen),
)
def sensitivity(
    model: ModelArtifact,
    quantized: QuantizedArtifact,
    calibration: DatasetArtifact,
    config: QuantizationConfig,
    batch_size: int,
    finetuned: FinetunedArtifact | None,
    isas: tuple[IsaLevel, ...],
    timeout_s: Incidental[float],
) -> Sensitivity:
    """Quantizes each operator of a candidate by itself, in a simulation, and compares the model's outputs.

    config, batch_size, finetuned: what the candidate was quantized with, see `quantize`.
    isas: the instruction sets that serve it.
    Raises: QuantizationError for the layout `recurrent`, whose layers cannot be simulated one by one.
    """
    candidate, layout = quantized.candidate, LAYOUTS.find(quantized.candidate.layout)
    if layout.form is QuantizedForm.FP32:
        raise QuantizationError(
            found=f"the layout {candidate.layout}, whose recurrent layers are quantized as one",
            required="a layout that PaddleSlim quantizes for, operator by operator",
            remedy="set `quantization.layouts: [offline]` or `[qdq]`",
        )
    log = step_log(f"sensitivity-{candidate.name}")
    model, learned = as_trained(model, finetuned)
    with stage(f"{STEP} {candidate.name}") as summary, computing():
        found = run_isolated(
            measure_sensitivity,
            SensitivityRequest(
                made=ptq_request(
                    model=model,
                    calibration=calibration,
                    candidate=candidate,
                    config=config,
                    batch_size=batch_size,
                    folder=quantized.folder,
                    learned=learned,
                ),
                operators=quantized.operators,
                saturates=not layout.narrow and not VNNI.issuperset(isas),
            ),
            step=STEP,
            log=log,
            timeout_s=timeout_s,
        )
        measured = Sensitivity(
            candidate=candidate,
            samples=found.samples,
            together_db=found.together_db,
            added_db=found.added_db,
            operators=found.operators,
            seconds=found.seconds,
            log=log,
        )
        worst = measured.worst_first()[0]
        operators = counted(len(found.operators), "operator")
        summary.append(f"{operators}; {worst.layer} alone leaves {worst.output_sqnr_db:.1f} dB")
        return measured


@step(
    name=TIMING,
    task_run_name="time operators {deployable.candidate.name}",
    **cached(measure_times, environment),
)
def time_operators(
    model: ModelArtifact,
    deployable: DeployableArtifact,
    calibration: DatasetArtifact,
    batch_size: int,
    threads: int,
    isa: IsaLevel,
    *,
    limited: bool,
    timeout_s: Incidental[float],
) -> dict[str, tuple[float, float]]:
    """Milliseconds of each operator in FP32 and in INT8, by its output tensor, as oneDNN's log has them.

    limited: see `tasks.validation.task.baseline_outputs`. Operators that cannot be told apart are missing;
    all of them are for a layout that another engine than Paddle runs.
    """
    candidate, layout = deployable.candidate, LAYOUTS.find(deployable.candidate.layout)
    with stage(f"{TIMING} {candidate.name}") as summary:
        if layout.engine != PADDLE:
            return {}
        with measuring():
            found = run_isolated(
                measure_times,
                TimingRequest(
                    model=model,
                    candidate=deployable.folder,
                    switches=layout.switches_for(candidate),
                    calibration=calibration,
                    batch_size=batch_size,
                    threads=threads,
                ),
                step=TIMING,
                log=step_log(f"time-operators-{candidate.name}"),
                timeout_s=timeout_s,
                environment=environment(isa, limited=limited, threads=threads),
            )
        summary.append(counted(len(found), "operator"))
        return found
