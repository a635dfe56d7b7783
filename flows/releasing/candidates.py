"""The candidates of a release: quantized, converted, validated and judged, one by one."""

from __future__ import annotations

from dataclasses import dataclass, field

from prefect.futures import PrefectFuture

from paddle_int8.flows.releasing.inputs import Inputs
from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.algorithms import section as quantization
from paddle_int8.tasks.algorithms.task import finetune, quantize
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    DeployableArtifact,
    FinetunedArtifact,
    QuantizedArtifact,
)
from paddle_int8.tasks.contracts.errors import ConfigError, PipelineError
from paddle_int8.tasks.contracts.evidence import FailedCandidate
from paddle_int8.tasks.contracts.verdict import Attempt, Judged
from paddle_int8.tasks.gate.task import gate
from paddle_int8.tasks.layouts import section as conversion
from paddle_int8.tasks.layouts.task import convert
from paddle_int8.tasks.strategies import STRATEGIES
from paddle_int8.tasks.tracking.live_curve import training_followed
from paddle_int8.tasks.tracking.task import log_candidate, log_failure, log_training
from paddle_int8.tasks.validation.task import validate


@dataclass(slots=True)
class Findings:
    """What became of the candidates so far. `errors` are those of the failed ones, in order."""

    tried: list[Attempt] = field(default_factory=list)
    errors: list[PipelineError] = field(default_factory=list)

    @property
    def judged(self) -> tuple[Judged, ...]:
        return tuple(each for each in self.tried if isinstance(each, Judged))

    @property
    def failed(self) -> tuple[FailedCandidate, ...]:
        return tuple(each for each in self.tried if isinstance(each, FailedCandidate))


def explore(inputs: Inputs) -> Findings:
    """Builds and measures candidates for as long as the strategy asks for more.

    Raises: ConfigError when it never asks for one.
    """
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
    if not findings.tried:
        raise ConfigError(
            found=f"strategy {settings.strategy!r}, which asked for no candidate",
            required="a candidate",
            remedy="set `quantization.strategy: grid`, or widen what the strategy may choose from",
        )
    return findings


def _train(inputs: Inputs, findings: Findings) -> FinetunedArtifact | None:
    """Trains the model for candidates that need it. If the training fails, only these candidates fail."""
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
                settings.keep_fp32,
                settings.weight_quantize_type,
            )
    except PipelineError as error:
        for candidate in settings.candidates():
            if ALGORITHMS.find(candidate.algorithm).needs_training:
                _fail(inputs, findings, candidate, "train", error)
        return None
    log_training(inputs.run_id, finetuned)
    return finetuned


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
        finetuned if ALGORITHMS.find(candidate.algorithm).needs_training else None,
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


def _fail(inputs: Inputs, findings: Findings, candidate: Candidate, step: str, error: PipelineError) -> None:
    failed = FailedCandidate(candidate=candidate, step=step, error=str(error))
    findings.errors.append(error)
    findings.tried.append(failed)
    log_failure(inputs.run_id, failed, inputs.config.quantization)
