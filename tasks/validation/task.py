"""The Prefect tasks that measure the FP32 baseline and each candidate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from pydantic import JsonValue

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.artifacts import (
    BaselineOutputsArtifact,
    DatasetArtifact,
    DeployableArtifact,
    HostProfile,
    ModelArtifact,
    PaddleRuntime,
)
from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.contracts.evidence import (
    CandidateEvidence,
    IsaEvidence,
    NativeComparison,
    RuntimeEvidence,
)
from paddle_int8.tasks.contracts.keys import Chosen, Incidental, named
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.data.metrics import METRICS
from paddle_int8.tasks.engines.paddle.original import baseline_folder
from paddle_int8.tasks.engines.paddle.predictor import spec_of
from paddle_int8.tasks.engines.paddle.switches import BASELINE
from paddle_int8.tasks.hardware.levels import environment, rank
from paddle_int8.tasks.layouts.code import chosen_engine
from paddle_int8.tasks.process.host_lock import computing, measuring
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.process.progress import WARNING
from paddle_int8.tasks.steps.step import cached, stage, step, step_log
from paddle_int8.tasks.store.folder import commit, folder_digest, scratch
from paddle_int8.tasks.validation.baseline import OUTPUTS, OutputsRequest, write_baseline_outputs
from paddle_int8.tasks.validation.fitness import measure_baseline
from paddle_int8.tasks.validation.load import LoadEvidence
from paddle_int8.tasks.validation.measure import measure
from paddle_int8.tasks.validation.native import NativeRequest, compare_with_native
from paddle_int8.tasks.validation.request import MeasureRequest
from paddle_int8.tasks.validation.runtimes import measure_with
from paddle_int8.tasks.validation.runtimes_found import found_runtimes
from paddle_int8.tasks.validation.timing import time_process


def _chosen_metrics(parameters: Mapping[str, JsonValue]) -> Chosen:
    """Where the metrics are defined that the configuration names: code of the step as `measure` is."""
    names: list[str] = []
    match parameters:
        case {"config": {"metrics": [*found]}}:
            names = [str(name) for name in found]
    return Chosen(modules=frozenset(METRICS.module(name) for name in names if ":" not in name))


@step(
    name="measure baselines",
    **cached(measure_baseline, compare_with_native, environment, chosen=_chosen_metrics),
)
def measure_baselines(
    model: ModelArtifact,
    calibration: DatasetArtifact,
    validation: DatasetArtifact,
    config: ValidationConfig,
    host: HostProfile,
) -> dict[IsaLevel, LoadEvidence]:
    """Measures the FP32 baseline on each instruction set, before anything is quantized.

    On each, one isolated process compares the baseline with Paddle's own kernels, and another measures its
    load time and peak memory and examines its outputs. The first key of the result is the instruction set
    that serves on this host; the emulated ones that the release deploys to follow.

    config: see `baseline_section`.
    Raises: MeasurementError when oneDNN computes something else than Paddle's own kernels; and the errors of
    `tasks.validation.fitness.measure_baseline`.
    """
    with stage("measure baselines") as summary:
        measured = {
            isa: _measure_baseline(model, calibration, validation, config, isa, limited=isa is not host.isa)
            for isa in served_isas(host, config)
        }
        outputs = next(iter(measured.values())).outputs
        summary.extend(f"{output.name} holds {output.kind}: {output.why}" for output in outputs)
        return measured


def _measure_baseline(
    model: ModelArtifact,
    calibration: DatasetArtifact,
    validation: DatasetArtifact,
    config: ValidationConfig,
    isa: IsaLevel,
    *,
    limited: bool,
) -> LoadEvidence:
    native = _hold_to_native(model, calibration, config, isa, limited=limited)
    with measuring():
        load = run_isolated(
            measure_baseline,
            spec_of(baseline_folder(model.folder), BASELINE, config.threads),
            model,
            validation,
            config,
            step=f"measure baseline {isa}",
            log=step_log(f"baseline-{isa}"),
            timeout_s=config.timeout_s,
            environment=environment(isa, limited=limited, threads=config.threads),
        )
    return replace(load, native=native)


def _hold_to_native(
    model: ModelArtifact,
    calibration: DatasetArtifact,
    config: ValidationConfig,
    isa: IsaLevel,
    *,
    limited: bool,
) -> NativeComparison:
    request = NativeRequest(
        folder=baseline_folder(model.folder),
        inputs=model.inputs,
        data=calibration,
        batch_size=config.accuracy_batch_size,
        threads=config.threads,
    )
    return run_isolated(
        compare_with_native,
        request,
        step=f"compare with native {isa}",
        log=step_log(f"native-{isa}"),
        timeout_s=config.timeout_s,
        environment=environment(isa, limited=limited, threads=config.threads),
    )


@step(
    name="baseline outputs",
    task_run_name="baseline outputs {isa}",
    **cached(write_baseline_outputs, environment),
)
def baseline_outputs(
    model: ModelArtifact,
    validation: DatasetArtifact,
    batch_size: int,
    threads: int,
    isa: IsaLevel,
    *,
    limited: bool,
    timeout_s: Incidental[float],
) -> BaselineOutputsArtifact:
    """Stores the FP32 baseline's outputs for the validation samples. Every candidate is compared with them.

    limited: True when this host offers more than `isa`, so that oneDNN must be limited to `isa`.
    Raises: MeasurementError when oneDNN used another instruction set than `isa`.
    """
    store, log = Settings().store, step_log(f"baseline-outputs-{isa}")
    with stage("baseline outputs") as summary, scratch(store, "baselines") as folder, computing():
        request = OutputsRequest(
            model=model, validation=validation, batch_size=batch_size, threads=threads, isa=isa, folder=folder
        )
        run_isolated(
            write_baseline_outputs,
            request,
            step=request.step,
            log=log,
            timeout_s=timeout_s,
            environment=environment(isa, limited=limited, threads=threads),
        )
        summary.append(f"{validation.samples} samples on {isa}")
        digest = folder_digest(folder)
        return BaselineOutputsArtifact(
            folder=commit(folder, store, "baselines", digest), digest=digest, log=log
        )


def served_isa(host: HostProfile, config: ValidationConfig) -> IsaLevel:
    """The instruction set that serves on this host: its own, or `validation.max_isa` when that is weaker."""
    return min((host.isa, config.max_isa or host.isa), key=rank)


def served_isas(host: HostProfile, config: ValidationConfig) -> tuple[IsaLevel, ...]:
    """All instruction sets on which a model is measured: first the one that serves on this host."""
    return tuple(dict.fromkeys((served_isa(host, config), *config.deploy_isas)))


def _chosen(parameters: Mapping[str, JsonValue]) -> Chosen:
    """The code of the metrics, and of the engine that runs the candidate's layout."""
    return _chosen_metrics(parameters) | chosen_engine(named(parameters, "deployable", "candidate", "layout"))


@step(
    name="validate",
    task_run_name="validate {deployable.candidate.name}",
    **cached(measure, measure_with, time_process, environment, chosen=_chosen),
)
def validate(
    model: ModelArtifact,
    deployable: DeployableArtifact,
    validation: DatasetArtifact,
    baselines: dict[IsaLevel, LoadEvidence],
    outputs: dict[IsaLevel, BaselineOutputsArtifact],
    config: ValidationConfig,
    confidence: float,
    host: HostProfile,
    runtimes: tuple[PaddleRuntime, ...] = (),
) -> CandidateEvidence:
    """Measures one candidate on the instruction set that serves on this host and on each emulated one.

    baselines, outputs: the FP32 baseline's load and outputs on each of these instruction sets.
    confidence: the confidence of the bounds in the evidence.
    runtimes: other versions of Paddle with which it is measured too, on the first of these.
    Raises: MeasurementError when a metric fails, or when oneDNN used another instruction set than asked for.
    """
    with stage(f"validate {deployable.candidate.name}") as summary:
        asked = {
            isa: partial(
                MeasureRequest,
                model=model,
                deployable=deployable,
                validation=validation,
                config=config,
                confidence=confidence,
                isa=isa,
                emulated=isa is not served_isa(host, config),
                baseline_outputs=outputs[isa].folder / OUTPUTS,
                baseline_load=load,
            )
            for isa, load in baselines.items()
        }
        per_isa = tuple(_measure(of_isa, isa, host) for isa, of_isa in asked.items())
        served = asked[next(iter(baselines))]
        others = tuple(_measure_with(each, served, host) for each in runtimes)
        native = per_isa[0]
        speedup, metric = native.latency.speedup, native.metrics[0]
        summary.append(f"{speedup.ratio:.2f}x, {metric.title} {metric.change} points")
        summary.extend(_told(each) for each in others)
        return CandidateEvidence(
            candidate=deployable.candidate,
            digest=deployable.digest,
            size_bytes=deployable.size_bytes,
            baseline_digest=model.digest,
            baseline_size_bytes=model.size_bytes,
            validation_digest=validation.digest,
            host=host,
            per_isa=per_isa,
            runtimes=others,
        )


def _told(found: RuntimeEvidence) -> str:
    if found.measured is None:
        return f"{WARNING}{found.error}"
    speedup, metric = found.measured.latency.speedup, found.measured.metrics[0]
    return f"with Paddle {found.paddle}: {speedup.ratio:.2f}x, {metric.title} {metric.change} points"


def _measure_with(
    runtime: PaddleRuntime, asked: partial[MeasureRequest], host: HostProfile
) -> RuntimeEvidence:
    """What is measured with another Paddle; that the model does not run there is a finding too.

    asked: the request without the folder and the log of its files.
    """
    with _asked(asked, f"paddle-{runtime.version}") as request:
        try:
            measured = run_isolated(
                measure_with,
                request,
                runtime,
                step=f"validate {request.deployable.candidate.name} with Paddle {runtime.version}",
                log=request.log,
                timeout_s=request.config.timeout_s,
                environment=_environment(request, host),
            )
        except MeasurementError as error:
            return RuntimeEvidence(paddle=runtime.version, measured=None, error=error.found)
        return RuntimeEvidence(paddle=runtime.version, measured=_kept(measured, request))


@step(name="find runtimes")
def find_runtimes(config: ValidationConfig) -> tuple[PaddleRuntime, ...]:
    """The environments of the versions in `validation.runtimes`, without that of the release itself.

    Raises: ConfigError when a version is in none of the environments that PADDLE_INT8_RUNTIMES names.
    """
    return found_runtimes(config.runtimes, Settings().runtimes)


def _measure(asked: partial[MeasureRequest], isa: IsaLevel, host: HostProfile) -> IsaEvidence:
    """asked: the request without the folder and the log of its files."""
    with _asked(asked, str(isa)) as request:
        variables = _environment(request, host)
        timings = [
            run_isolated(
                time_process,
                request,
                place,
                step=request.timing_step,
                log=request.log,
                timeout_s=request.config.timeout_s,
                environment=variables,
            )
            for place in range(request.config.processes)
        ]
        measured = run_isolated(
            measure,
            request,
            timings,
            step=request.step,
            log=request.log,
            timeout_s=request.config.timeout_s,
            environment=variables,
        )
        return _kept(measured, request)


@contextmanager
def _asked(asked: partial[MeasureRequest], where: str) -> Iterator[MeasureRequest]:
    """The whole request, while nothing else of this project computes on the host.

    where: the end of its log's name.
    """
    log = step_log(f"validate-{asked.keywords['deployable'].candidate.name}-{where}")
    with scratch(Settings().store, "evidence") as folder, measuring():
        yield asked(folder=folder, log=log)


def _environment(request: MeasureRequest, host: HostProfile) -> dict[str, str]:
    return environment(request.isa, limited=request.isa is not host.isa, threads=request.config.threads)


def _kept(measured: IsaEvidence, request: MeasureRequest) -> IsaEvidence:
    """The evidence, whose files are in the store from now on."""
    kept = commit(request.folder, Settings().store, "evidence", folder_digest(request.folder))
    return replace(measured, outcomes=kept / measured.outcomes.name)
