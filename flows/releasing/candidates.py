"""The candidates of a release: quantized, converted, validated and judged, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from prefect.futures import PrefectFuture

from paddle_int8.flows.releasing.inputs import Inputs, outputs_for
from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.algorithms import section as quantization
from paddle_int8.tasks.algorithms.task import finetune, quantize
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    DatasetArtifact,
    DeployableArtifact,
    FinetunedArtifact,
    QuantizedArtifact,
)
from paddle_int8.tasks.contracts.errors import ConfigError, PipelineError
from paddle_int8.tasks.contracts.evidence import FailedCandidate
from paddle_int8.tasks.contracts.verdict import Attempt, Judged
from paddle_int8.tasks.gate.confirmation import finalist, unconfirmed
from paddle_int8.tasks.gate.task import gate, gate_together
from paddle_int8.tasks.layouts import section as conversion
from paddle_int8.tasks.layouts.task import convert
from paddle_int8.tasks.strategies import STRATEGIES
from paddle_int8.tasks.tracking.live_curve import training_followed
from paddle_int8.tasks.tracking.task import log_candidate, log_failure, log_training, log_verdict
from paddle_int8.tasks.validation.task import validate


@dataclass(slots=True)
class Findings:
    """What became of the candidates so far. `errors` are those of the failed ones, in order.

    confirmed: the candidate that a search found, as it was judged on the samples that the search did not see.
    """

    tried: list[Attempt] = field(default_factory=list)
    confirmed: Judged | None = None
    errors: list[PipelineError] = field(default_factory=list)

    @property
    def judged(self) -> tuple[Judged, ...]:
        return tuple(each for each in self.tried if isinstance(each, Judged))

    @property
    def failed(self) -> tuple[FailedCandidate, ...]:
        return tuple(each for each in self.tried if isinstance(each, FailedCandidate))

    @property
    def made(self) -> tuple[Attempt, ...]:
        """What was tried of the candidates that the strategy asked for."""
        return tuple(each for each in self.tried if not each.candidate.given)

    @property
    def tested(self) -> tuple[Judged, ...]:
        """The candidates whose verdicts count: the confirmed one of a search, else all."""
        return (self.confirmed,) if self.confirmed else self.judged

    def replace(self, ruled: Iterable[Judged]) -> None:
        """Puts verdicts in the place of earlier ones on the same candidates."""
        final = {each.candidate: each for each in ruled}
        self.tried = [
            final.get(each.candidate, each) if isinstance(each, Judged) else each for each in self.tried
        ]


def explore(inputs: Inputs) -> Findings:
    """Measures the given models and the candidates that the strategy asks for, and judges them together.

    Raises: ConfigError when there is none.
    """
    findings = Findings()
    _explore_given(inputs, findings)
    finetuned = _train(inputs, findings)
    settings = inputs.config.quantization
    search = STRATEGIES.find(settings.strategy).start(settings)
    while asked := search.next_candidates(findings.made):
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
    _rule(inputs, findings)
    return findings


def _explore_given(inputs: Inputs, findings: Findings) -> None:
    """Converts and measures the models that were quantized elsewhere."""
    built = [(given, _convert(inputs, given, given.candidate)) for given in inputs.given]
    for _, deployable in built:
        deployable.wait()
    for given, deployable in built:
        _measure(inputs, findings, given.candidate, given, deployable)


def _rule(inputs: Inputs, findings: Findings) -> None:
    """Replaces the verdicts on single candidates by those that hold for the release."""
    before, gate_config = findings.judged, inputs.config.gate
    if inputs.confirmation is None:
        ruled = gate_together(before, gate_config) if before else ()
    else:
        found = finalist(before, gate_config, inputs.confirmation.samples)
        findings.confirmed = found and _confirm(inputs, findings, found, inputs.confirmation)
        ruled = tuple(replace(each, verdict=unconfirmed(each.verdict)) for each in before)
    findings.replace(ruled)
    for old, new in zip(before, ruled, strict=True):
        if new != old:
            log_verdict(inputs.run_id, new.evidence, new.verdict)
    if findings.confirmed:
        findings.replace([findings.confirmed])


def _confirm(inputs: Inputs, findings: Findings, found: Judged, unseen: DatasetArtifact) -> Judged | None:
    """Judges the finalist on samples that the search did not see; None when it cannot be measured there."""
    config = inputs.config
    outputs = outputs_for(config.validation, inputs.model, unseen, inputs.host, tuple(inputs.baselines))
    try:
        evidence = validate(
            inputs.model,
            found.deployable,
            unseen,
            inputs.baselines,
            outputs,
            config.validation,
            config.gate.confidence,
            inputs.host,
            inputs.runtimes,
        )
    except PipelineError as error:
        _fail(inputs, findings, found.candidate, "confirm", error)
        return None
    (confirmed,) = gate_together(
        (replace(found, evidence=evidence, verdict=gate(evidence, config.gate)),), config.gate
    )
    log_candidate(
        inputs.run_id,
        confirmed.evidence,
        confirmed.verdict,
        found.quantized,
        found.deployable,
        config.quantization,
    )
    return confirmed


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
    return quantized, _convert(inputs, quantized, candidate)


def _convert(
    inputs: Inputs, quantized: PrefectFuture[QuantizedArtifact] | QuantizedArtifact, candidate: Candidate
) -> PrefectFuture[DeployableArtifact]:
    section = conversion.own_section(inputs.config.conversion, candidate.layout)
    return convert.submit(quantized, section)  # type: ignore[arg-type] # a future


def _measure(
    inputs: Inputs,
    findings: Findings,
    candidate: Candidate,
    quantized: PrefectFuture[QuantizedArtifact] | QuantizedArtifact,
    deployable: PrefectFuture[DeployableArtifact],
) -> None:
    """Validates and judges one candidate; its failure is recorded and the others go on."""
    config, step = inputs.config, "quantize"
    try:
        quantized_artifact = quantized if isinstance(quantized, QuantizedArtifact) else quantized.result()
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
            inputs.runtimes,
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
