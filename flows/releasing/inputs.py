"""What every candidate of a release shares: the host, the model, the data, and the FP32 baseline."""

from __future__ import annotations

from dataclasses import dataclass, replace

from paddle_int8.tasks.config.model import ModelFiles, RegisteredModel, TrainedModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.artifacts import (
    BaselineOutputsArtifact,
    DatasetArtifact,
    HostProfile,
    ModelArtifact,
    PaddleRuntime,
    QuantizedArtifact,
)
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.data.task import (
    check_data,
    draw_calibration_data,
    draw_training_data,
    draw_validation_data,
    part_validation_data,
)
from paddle_int8.tasks.engines.task import load_candidate, load_model
from paddle_int8.tasks.gate.plan import planned
from paddle_int8.tasks.gate.task import check_number_of_samples
from paddle_int8.tasks.hardware.task import check_hardware
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.strategies import STRATEGIES
from paddle_int8.tasks.tracking.task import fetch_registered, log_input
from paddle_int8.tasks.training.task import train_model
from paddle_int8.tasks.validation.load import LoadEvidence
from paddle_int8.tasks.validation.section import baseline_section
from paddle_int8.tasks.validation.task import baseline_outputs, find_runtimes, measure_baselines


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What every candidate of a release shares.

    validation: the samples that candidates are measured on. When the strategy learns from what it sees there,
    these are a part of the drawn ones, and `confirmation` is the other part, which tests what it found.
    outputs: the FP32 baseline's outputs for `validation`.
    given: the models that were quantized elsewhere.
    runtimes: other versions of Paddle that candidates are measured with.
    """

    config: ReleaseConfig
    run_id: str
    host: HostProfile
    model: ModelArtifact
    calibration: DatasetArtifact
    validation: DatasetArtifact
    confirmation: DatasetArtifact | None
    training: DatasetArtifact | None
    baselines: dict[IsaLevel, LoadEvidence]
    outputs: dict[IsaLevel, BaselineOutputsArtifact]
    given: tuple[QuantizedArtifact, ...]
    runtimes: tuple[PaddleRuntime, ...]


def gather(config: ReleaseConfig, run_id: str) -> Inputs:
    """Runs the steps that every candidate needs. Raises: PipelineError when one of them fails."""
    host = check_hardware(config.hardware)
    log_input(run_id, host)
    runtimes = find_runtimes(config.validation)
    model = load(config, run_id)
    given = tuple(load_candidate(files, model) for files in config.candidates)
    calibration = draw_calibration_data(config.data, model)
    log_input(run_id, calibration, "calibration")
    drawn = draw_validation_data(config.data, model)
    validation, confirmation = _parted(config, run_id, model, drawn)
    qat = config.quantization.qat
    training = draw_training_data(config.data, qat, model) if qat else None
    check_data(calibration, drawn, model, training)
    plan = planned(config, drawn.samples)
    check_number_of_samples(confirmation or validation, calibration, plan.gate, plan.candidates)
    section = baseline_section(config.validation)
    baselines = measure_baselines(model, calibration, validation, section, host)
    return Inputs(
        config=config,
        run_id=run_id,
        host=host,
        model=model,
        calibration=calibration,
        validation=validation,
        confirmation=confirmation,
        training=training,
        baselines=baselines,
        outputs=outputs_for(config.validation, model, validation, host, tuple(baselines)),
        given=given,
        runtimes=runtimes,
    )


def _parted(
    config: ReleaseConfig, run_id: str, model: ModelArtifact, drawn: DatasetArtifact
) -> tuple[DatasetArtifact, DatasetArtifact | None]:
    """The samples to measure candidates on, and those that confirm one of them.

    All are to measure on, and none to confirm, when the strategy does not learn.
    """
    if not STRATEGIES.find(config.quantization.strategy).learns:
        log_input(run_id, drawn, "validation")
        return drawn, None
    search, confirmation = part_validation_data(drawn, model, config.validation.search_share)
    log_input(run_id, drawn, "drawn")
    log_input(run_id, search, "search")
    log_input(run_id, confirmation, "validation")
    return search, confirmation


def parted(inputs: Inputs) -> Inputs:
    """The same release, whose candidates are measured on a part of the samples and confirmed on the others.

    Raises: PipelineError when the samples cannot be parted.
    """
    config = inputs.config
    search, confirmation = part_validation_data(
        inputs.validation, inputs.model, config.validation.search_share
    )
    log_input(inputs.run_id, search, "search")
    log_input(inputs.run_id, confirmation, "confirmation")
    outputs = outputs_for(config.validation, inputs.model, search, inputs.host, tuple(inputs.baselines))
    return replace(inputs, validation=search, confirmation=confirmation, outputs=outputs)


def load(config: ReleaseConfig, run_id: str) -> ModelArtifact:
    """The FP32 model, trained or fetched first where the configuration says so."""
    model = load_model(
        _model_files(config, run_id),
        legacy_recurrence=any(LAYOUTS.find(name).legacy_recurrence for name in config.quantization.layouts),
        native_ops=config.conversion.native_ops,
        keep_fp32=config.quantization.keep_fp32,
    )
    log_input(run_id, model)
    return model


def outputs_for(
    config: ValidationConfig,
    model: ModelArtifact,
    validation: DatasetArtifact,
    host: HostProfile,
    isas: tuple[IsaLevel, ...],
) -> dict[IsaLevel, BaselineOutputsArtifact]:
    """The FP32 baseline's outputs for these samples, on each instruction set."""
    return {
        isa: baseline_outputs(
            model,
            validation,
            config.accuracy_batch_size,
            config.threads,
            isa,
            limited=isa is not host.isa,
            timeout_s=config.timeout_s,
        )
        for isa in isas
    }


def _model_files(config: ReleaseConfig, run_id: str) -> ModelFiles:
    match config.model:
        case TrainedModel():
            return train_model(config.model)
        case RegisteredModel(model_filename=program, params_filename=params):
            folder = fetch_registered(run_id, config.model)
            return ModelFiles(path=folder, model_filename=program, params_filename=params)
        case ModelFiles():
            return config.model
