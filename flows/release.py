"""From a trained FP32 model to a verdict: the DAG of the README, top to bottom."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from prefect import flow
from prefect.futures import PrefectFuture

from paddle_int8.flows.server.events import announce_verdict, failure_announced
from paddle_int8.flows.server.lifecycle.release_run import begun
from paddle_int8.tasks.algorithms import section as quantization
from paddle_int8.tasks.algorithms.task import finetune, quantize
from paddle_int8.tasks.config.callables import require_all_allowed
from paddle_int8.tasks.config.model import ModelFiles, RegisteredModel, TrainedModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.artifacts import (
    BaselineOutputsArtifact,
    Candidate,
    DatasetArtifact,
    DeployableArtifact,
    FinetunedArtifact,
    HostProfile,
    ModelArtifact,
    QuantizedArtifact,
)
from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.contracts.evidence import FailedCandidate
from paddle_int8.tasks.contracts.verdict import Attempt, Judged, Release
from paddle_int8.tasks.contracts.vocabulary import Algorithm, IsaLevel, Layout, Outcome
from paddle_int8.tasks.data.task import (
    check_data,
    draw_calibration_data,
    draw_training_data,
    draw_validation_data,
)
from paddle_int8.tasks.engines.paddle.task import pack_bundle
from paddle_int8.tasks.engines.task import load_model
from paddle_int8.tasks.gate.choice import choose
from paddle_int8.tasks.gate.task import check_number_of_samples, gate
from paddle_int8.tasks.hardware.task import check_hardware
from paddle_int8.tasks.layouts import section as conversion
from paddle_int8.tasks.layouts.task import convert
from paddle_int8.tasks.strategies import STRATEGIES
from paddle_int8.tasks.tracking.live_curve import training_followed
from paddle_int8.tasks.tracking.task import (
    fetch_registered,
    log_candidate,
    log_failure,
    log_input,
    log_training,
    publish_report,
    register,
)
from paddle_int8.tasks.training.task import train_model
from paddle_int8.tasks.validation.load import LoadEvidence
from paddle_int8.tasks.validation.task import baseline_outputs, measure_baselines, validate


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What every candidate of a release shares."""

    config: ReleaseConfig
    run_id: str
    host: HostProfile
    model: ModelArtifact
    calibration: DatasetArtifact
    validation: DatasetArtifact
    training: DatasetArtifact | None
    baselines: dict[IsaLevel, LoadEvidence]
    outputs: dict[IsaLevel, BaselineOutputsArtifact]


@dataclass(slots=True)
class Findings:
    """What became of the candidates so far. `errors` are those of the failed ones, in the same order."""

    tried: list[Attempt] = field(default_factory=list)
    errors: list[PipelineError] = field(default_factory=list)

    @property
    def judged(self) -> tuple[Judged, ...]:
        return tuple(each for each in self.tried if isinstance(each, Judged))

    @property
    def failed(self) -> tuple[FailedCandidate, ...]:
        return tuple(each for each in self.tried if isinstance(each, FailedCandidate))


@flow(
    name="release",
    flow_run_name="{config.name}",
    persist_result=False,
    result_serializer="json",  # of its errors; nothing is ever unpickled
)
def release(config: ReleaseConfig) -> Release:
    """Quantizes, converts, validates and judges; registers what is approved; emits its verdict or failure.

    Raises: PipelineError when a step that every candidate needs fails, or no candidate gets through.
    """
    with failure_announced(config.name):
        released = _released(config)
    announce_verdict(released)
    return released


def _released(config: ReleaseConfig) -> Release:
    started = time.monotonic()
    require_all_allowed(config)
    with begun(config) as run_id:
        inputs = _gather(config, run_id)
        findings = _explore(inputs)
        chosen = choose(findings.judged)
        if chosen is None:
            raise findings.errors[0]
        result = _conclude(inputs, findings, chosen, started)
        report = publish_report(result, config, tuple(each.quantized for each in findings.judged))
        return replace(result, report=report)


def _gather(config: ReleaseConfig, run_id: str) -> Inputs:
    host = check_hardware(config.hardware)
    log_input(run_id, host)
    files = _model_files(config, run_id)
    model = load_model(
        files,
        legacy_recurrence=Layout.RECURRENT in config.quantization.layouts,
        native_ops=config.conversion.native_ops,
    )
    log_input(run_id, model)
    calibration = draw_calibration_data(config.data, model)
    log_input(run_id, calibration, "calibration")
    validation = draw_validation_data(config.data, model)
    log_input(run_id, validation, "validation")
    qat = config.quantization.qat
    training = draw_training_data(config.data, qat, model) if qat else None
    check_data(calibration, validation, model, training)
    check_number_of_samples(validation, calibration, config.gate)
    baselines = measure_baselines(model, calibration, validation, config.validation, host)
    return Inputs(
        config=config,
        run_id=run_id,
        host=host,
        model=model,
        calibration=calibration,
        validation=validation,
        training=training,
        baselines=baselines,
        outputs={isa: _outputs(config.validation, model, validation, host, isa) for isa in baselines},
    )


def _outputs(
    config: ValidationConfig,
    model: ModelArtifact,
    validation: DatasetArtifact,
    host: HostProfile,
    isa: IsaLevel,
) -> BaselineOutputsArtifact:
    return baseline_outputs(
        model,
        validation,
        config.accuracy_batch_size,
        config.threads,
        isa,
        held=isa is not host.isa,
        timeout_s=config.timeout_s,
    )


def _model_files(config: ReleaseConfig, run_id: str) -> ModelFiles:
    match config.model:
        case TrainedModel():
            return train_model(config.model)
        case RegisteredModel(model_filename=program, params_filename=params):
            folder = fetch_registered(run_id, config.model)
            return ModelFiles(path=folder, model_filename=program, params_filename=params)
        case ModelFiles():
            return config.model


def _explore(inputs: Inputs) -> Findings:
    """Builds and measures candidates for as long as the strategy asks for more."""
    findings = Findings()
    finetuned = _train(inputs, findings)
    settings = inputs.config.quantization
    search = STRATEGIES.find(settings.strategy).start(settings)
    while asked := search.next_candidates(findings.tried):
        built = [(candidate, *_build(inputs, candidate, finetuned)) for candidate in asked]
        for _, _, deployable in built:
            deployable.wait()
        for candidate, quantized, deployable in built:
            _measure(inputs, findings, candidate, quantized, deployable)
    return findings


def _train(inputs: Inputs, findings: Findings) -> FinetunedArtifact | None:
    """Quantization-aware training, where candidates are made of it; its failure is theirs alone."""
    settings = inputs.config.quantization
    if inputs.training is None or (qat := settings.qat) is None:
        return None
    try:
        with training_followed(Settings().tracking_uri, inputs.run_id):
            finetuned = finetune(
                inputs.model,
                inputs.training,
                qat,
                settings.op_types,
                settings.skip_tensors,
                settings.weight_quantize_type,
            )
    except PipelineError as error:
        for candidate in settings.candidates():
            if candidate.algorithm is Algorithm.QAT:
                _fail(inputs, findings, candidate, "train", error)
        return None
    log_training(inputs.run_id, finetuned)
    return finetuned


def _fail(inputs: Inputs, findings: Findings, candidate: Candidate, step: str, error: PipelineError) -> None:
    failed = FailedCandidate(candidate=candidate, step=step, error=str(error))
    findings.errors.append(error)
    findings.tried.append(failed)
    log_failure(inputs.run_id, failed, inputs.config.quantization)


def _build(
    inputs: Inputs, candidate: Candidate, finetuned: FinetunedArtifact | None
) -> tuple[PrefectFuture[QuantizedArtifact], PrefectFuture[DeployableArtifact]]:
    config = inputs.config
    quantized = quantize.submit(
        inputs.model,
        inputs.calibration,
        candidate,
        quantization.own_section(config.quantization, candidate),
        config.data.calibration_batch_size,
        finetuned if candidate.algorithm is Algorithm.QAT else None,
    )
    section = conversion.own_section(config.conversion, candidate.layout)
    return quantized, convert.submit(quantized, section)  # type: ignore[call-overload] # a future


def _measure(
    inputs: Inputs,
    findings: Findings,
    candidate: Candidate,
    quantized: PrefectFuture[QuantizedArtifact],
    deployable: PrefectFuture[DeployableArtifact],
) -> None:
    """Validates and judges one candidate; its failure is recorded and the others go on."""
    config, step = inputs.config, "quantize"
    try:
        quantized_artifact = quantized.result()
        step = "convert"
        deployable_artifact = deployable.result()
        step = "validate"
        evidence = validate(
            inputs.model,
            deployable_artifact,
            inputs.validation,
            inputs.baselines,
            inputs.outputs,
            config.validation,
            config.gate.confidence,
            inputs.host,
        )
    except PipelineError as error:
        _fail(inputs, findings, candidate, step, error)
        return
    verdict = gate(evidence, config.gate)
    findings.tried.append(
        Judged(
            quantized=quantized_artifact, deployable=deployable_artifact, evidence=evidence, verdict=verdict
        )
    )
    log_candidate(
        inputs.run_id, evidence, verdict, quantized_artifact, deployable_artifact, config.quantization
    )


def _conclude(inputs: Inputs, findings: Findings, chosen: Judged, started: float) -> Release:
    """Packs the chosen candidate, and registers it when the gate approved."""
    config, verdict = inputs.config, chosen.verdict
    bundle = pack_bundle(
        chosen.deployable,
        inputs.model,
        chosen.evidence,
        config.data.preprocessing,
        config.validation.threads,
    )
    approved = verdict.outcome is Outcome.APPROVED and config.registry.enabled
    registered = register(inputs.run_id, bundle, verdict, config.registry, config.name) if approved else None
    return Release(
        name=config.name,
        outcome=verdict.outcome,
        host=inputs.host,
        model=inputs.model,
        calibration=inputs.calibration,
        validation=inputs.validation,
        evidence=tuple(each.evidence for each in findings.judged),
        failed=findings.failed,
        verdicts=tuple(each.verdict for each in findings.judged),
        chosen=chosen.candidate,
        bundle=bundle,
        registered=registered,
        run_id=inputs.run_id,
        tracking_uri=Settings().tracking_uri,
        report=None,
        seconds=time.monotonic() - started,
    )
