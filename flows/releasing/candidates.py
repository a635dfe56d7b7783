"""The candidates of a release: quantized, converted, validated and judged, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from prefect import get_run_logger
from prefect.futures import PrefectFuture

from paddle_int8.flows.releasing.bench import ReleaseBench
from paddle_int8.flows.releasing.budget import Budget
from paddle_int8.flows.releasing.calibrations import Calibrations
from paddle_int8.flows.releasing.inputs import Inputs, outputs_for, parted
from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.algorithms import section as quantization
from paddle_int8.tasks.algorithms.task import finetune, quantize
from paddle_int8.tasks.algorithms.trained import trained_for
from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    DatasetArtifact,
    DeployableArtifact,
    FinetunedArtifact,
    ObservedArtifact,
    QuantizedArtifact,
)
from paddle_int8.tasks.contracts.errors import ConfigError, PipelineError
from paddle_int8.tasks.contracts.evidence import FailedCandidate
from paddle_int8.tasks.contracts.sensitivity import Sensitivity
from paddle_int8.tasks.contracts.verdict import Attempt, Judged
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.gate.confirmation import finalist, unconfirmed
from paddle_int8.tasks.gate.looks import could_be_chosen, shared
from paddle_int8.tasks.gate.plan import goes_on_with, why_alone
from paddle_int8.tasks.gate.task import gate, gate_together
from paddle_int8.tasks.layouts import section as conversion
from paddle_int8.tasks.layouts.task import convert
from paddle_int8.tasks.strategies import STRATEGIES
from paddle_int8.tasks.strategies.strategy import Search, Strategy
from paddle_int8.tasks.tracking.live_curve import training_followed
from paddle_int8.tasks.tracking.task import log_candidate, log_failure, log_training, log_verdict
from paddle_int8.tasks.validation.task import validate

NO_SEARCH = "no search goes on from these candidates"


@dataclass(slots=True)
class Findings:
    """What became of the candidates so far. `errors` are those of the failed ones, in order.

    confirmed: the candidate that a search found, as it was judged on the samples that the search did not see,
    which are `unseen`.
    compared: the candidates that were judged together on all samples, before a search went on.
    """

    tried: list[Attempt] = field(default_factory=list)
    confirmed: Judged | None = None
    unseen: DatasetArtifact | None = None
    compared: tuple[Judged, ...] = ()
    sensitivity: Sensitivity | None = None
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
        """The candidates whose verdicts count: the confirmed one of a search and those compared, else all."""
        return (*self.compared, *filter(None, [self.confirmed])) or self.judged

    @property
    def approved(self) -> bool:
        return any(each.verdict.outcome is Outcome.APPROVED for each in self.judged)

    def go_on(self, search: Findings) -> None:
        """Takes over what a search found; what it tried again was judged before, on more samples."""
        known = {each.candidate for each in self.tried}
        self.compared = self.judged
        self.tried += [each for each in search.tried if each.candidate not in known]
        self.errors += search.errors
        self.confirmed, self.unseen = search.confirmed, search.unseen
        self.replace(filter(None, [self.confirmed]))

    def replace(self, ruled: Iterable[Judged]) -> None:
        """Puts verdicts in the place of earlier ones on the same candidates."""
        final = {each.candidate: each for each in ruled}
        self.tried = [
            final.get(each.candidate, each) if isinstance(each, Judged) else each for each in self.tried
        ]


@dataclass(frozen=True, slots=True)
class Means:
    """What every search of a release builds its candidates with."""

    finetuned: FinetunedArtifact | None
    calibrations: Calibrations
    budget: Budget

    @classmethod
    def of(cls, inputs: Inputs, finetuned: FinetunedArtifact | None) -> Means:
        calibrations = Calibrations(inputs.config, inputs.model, inputs.calibration)
        return cls(finetuned, calibrations, Budget(inputs.config.quantization.search))


def explore(inputs: Inputs) -> Findings:
    """Measures the given models and the candidates that the strategy asks for, and judges them together.

    Where none is approved, the strategy that goes on from there does the same.
    Raises: ConfigError when there is none.
    """
    findings = Findings()
    _explore_given(inputs, findings)
    settings = inputs.config.quantization
    strategy, means = STRATEGIES.find(settings.strategy), Means.of(inputs, _train(inputs, findings))
    then = goes_on_with(inputs.config, inputs.validation.samples)
    first = _judged_by(inputs, shared(inputs.config.gate)) if then else inputs
    bench = ReleaseBench(first, means.finetuned, {})
    _search(first, findings, strategy.start(settings, bench), means)
    if not findings.tried:
        raise ConfigError(
            found=f"strategy {settings.strategy!r}, which asked for no candidate",
            required="a candidate",
            remedy="set `quantization.strategy: grid`, or widen what the strategy may choose from",
        )
    _rule(first, findings)
    if strategy.then and findings.judged and not findings.approved:
        if then:
            _go_on(inputs, findings, then, means, bench)
        else:
            get_run_logger().warning(f"{NO_SEARCH}: {why_alone(inputs.config, inputs.validation.samples)}")
    findings.sensitivity = bench.explanation(findings.judged)
    return findings


def _go_on(
    inputs: Inputs,
    findings: Findings,
    strategy: Strategy,
    means: Means,
    bench: ReleaseBench,
) -> None:
    """Searches on with another strategy, on a part of the samples, where no candidate was approved.

    The search sees that part alone. What it finds is thus the same whatever the verdicts before it were, and
    the error of both tests together is at most the sum of theirs: docs/explanation/statistics.md.
    """
    gate_config = inputs.config.gate
    looked = any(could_be_chosen(each.evidence, gate_config) for each in findings.judged)
    try:
        stage = parted(_judged_by(inputs, shared(gate_config) if looked else gate_config))
    except PipelineError as error:
        get_run_logger().warning(f"{NO_SEARCH}: {error}")
        return
    search = Findings()
    chosen = strategy.start(inputs.config.quantization, replace(bench, inputs=stage))
    _search(stage, search, chosen, means)
    _rule(stage, search)
    findings.go_on(search)


def _judged_by(inputs: Inputs, gate_config: GateConfig) -> Inputs:
    return replace(inputs, config=inputs.config.model_copy(update={"gate": gate_config}))


def _search(inputs: Inputs, findings: Findings, search: Search, means: Means) -> None:
    """Builds and measures candidates for as long as the search asks for more, within its budget."""
    while asked := means.budget.allowed(search.next_candidates(findings.made), findings.made):
        means.calibrations.make(asked)
        begun = []
        for candidate in asked:
            try:
                observations = means.calibrations.of(candidate)
            except PipelineError as error:
                _fail(inputs, findings, candidate, "calibrate", error)
                continue
            begun.append((candidate, _quantize(inputs, candidate, means.finetuned, observations)))
        built = [(*each, _convert(inputs, each[1], each[0])) for each in begun]
        for _, _, deployable in built:
            deployable.wait()
        for candidate, quantized, deployable in built:
            _measure(inputs, findings, candidate, quantized, deployable)


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
    config, findings.unseen = inputs.config, unseen
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
        findings.unseen = None
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


def _quantize(
    inputs: Inputs,
    candidate: Candidate,
    finetuned: FinetunedArtifact | None,
    observations: tuple[ObservedArtifact, ...],
) -> PrefectFuture[QuantizedArtifact]:
    config = inputs.config
    return quantize.submit(
        inputs.model,
        inputs.calibration,
        candidate,
        quantization.own_section(config.quantization, candidate),
        config.data.calibration_batch_size,
        trained_for(candidate, finetuned),
        observations,
    )


def _convert(
    inputs: Inputs, quantized: PrefectFuture[QuantizedArtifact] | QuantizedArtifact, candidate: Candidate
) -> PrefectFuture[DeployableArtifact]:
    """Begins the conversion once the candidate is quantized, or has failed, and fails it then too.

    Prefect asks its server, which may be away, for the state of a future that has not ended, and does not ask
    twice. It passes one that has ended on as its result.
    """
    if isinstance(quantized, PrefectFuture):
        quantized.wait()
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
