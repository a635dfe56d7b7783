"""Checks a configuration: what a release would begin with, on a few samples, in seconds.

All that needs Paddle runs in isolated processes, by the same functions as in a release. So what ends a
release before anything is quantized ends the check with the same message.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from paddle_int8.tasks.config.data import Source
from paddle_int8.tasks.config.hardware import HardwareConfig
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, HostProfile, ModelArtifact
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.data.dataset import check_labels, sample_digests
from paddle_int8.tasks.data.sampling import check_disjoint
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.load import prepare_model
from paddle_int8.tasks.engines.paddle.original import baseline_folder
from paddle_int8.tasks.engines.paddle.predictor import PredictorSpec, spec_of
from paddle_int8.tasks.engines.paddle.switches import BASELINE
from paddle_int8.tasks.gate.looks import allowed_error
from paddle_int8.tasks.gate.plan import planned
from paddle_int8.tasks.gate.sufficiency import fewest_for, margin_within
from paddle_int8.tasks.hardware.levels import environment, rank
from paddle_int8.tasks.hardware.policy import enforce
from paddle_int8.tasks.hardware.profile import host_profile
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.preview.alternatives import Alternative, alternatives
from paddle_int8.tasks.preview.answers import Answers, AnswersRequest, answer
from paddle_int8.tasks.preview.doubts import Labelled, agreeing, doubts
from paddle_int8.tasks.preview.findings import Check, DataFindings, Score
from paddle_int8.tasks.preview.forecast import Measured, forecast
from paddle_int8.tasks.preview.page import write_page
from paddle_int8.tasks.preview.samples import ReadSamples, read_samples
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.showing.pictures import channels_of
from paddle_int8.tasks.store.folder import scratch
from paddle_int8.tasks.validation.fitness import measure_baseline
from paddle_int8.tasks.validation.load import LoadEvidence

SAMPLES = 256
"""How many validation samples a check reads at most; of the calibration it reads all that a release takes."""
MODEL_S, DATA_S, RUN_S = 900.0, 3600.0, 900.0
"""Time limits, those of a release but for the last."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a configuration names, opened: the model in a folder of its own, and samples of the data.

    environment: with which FP32 runs on the instruction set `isa`, which serves on this host.
    """

    config: ReleaseConfig
    isa: IsaLevel
    environment: dict[str, str]
    model: ModelArtifact
    calibration: ReadSamples
    validation: ReadSamples
    load: LoadEvidence

    @property
    def spec(self) -> PredictorSpec:
        return fp32(self.config, self.model)


def check(config: ReleaseConfig, files: ModelFiles) -> Check:
    """What a release of `config` would begin with. `files`: those of its model.

    Raises: PipelineError where the release would end before it quantizes anything.
    """
    began = time.monotonic()
    with scratch(Settings().store, "check") as folder:
        host = look_at_host(config.hardware)
        layouts = map(LAYOUTS.find, config.quantization.layouts)
        model = open_model(
            files,
            made(folder / "model"),
            legacy=any(each.legacy_recurrence for each in layouts),
            native_ops=config.conversion.native_ops,
            keep_fp32=config.quantization.keep_fp32,
        )
        opened = open_samples(config, host, model, folder)
        answers = answers_of(opened)
        found = _found(opened, answers, began)
        shown = [(opened.validation.dataset, row) for row in answers.rows]
        write_page(found, shown, opened.model)
        return found


def look_at_host(hardware: HardwareConfig) -> HostProfile:
    """The profile of this host. Raises: HardwareError when the configuration requires more."""
    with progress.stage("hardware check") as summary:
        host = host_profile()
        warnings = enforce(host, hardware)
        summary += [f"{host.cpu_model}, {host.isa}", *(f"{progress.WARNING}{each}" for each in warnings)]
    return host


def open_samples(config: ReleaseConfig, host: HostProfile, model: ModelArtifact, folder: Path) -> Opened:
    """Reads samples into `folder` and runs FP32 once, with all checks that a release makes of them.

    Raises: PipelineError when one of them fails.
    """
    isa = min((host.isa, config.validation.max_isa or host.isa), key=rank)
    calibration = _read("calibration data", config.data.calibration, config, model, folder)
    validation = _read("validation data", config.data.validation, config, model, folder)
    check_disjoint(sample_digests(calibration.dataset), sample_digests(validation.dataset))
    check_labels(validation.dataset, model.outputs)
    variables = environment(isa, limited=isa is not host.isa, threads=config.validation.threads)
    with progress.stage("load FP32") as summary:
        load = _isolated(
            measure_baseline,
            *(fp32(config, model), model, validation.dataset, config.validation),
            step="load FP32",
            doing="opening FP32 on oneDNN",
            timeout_s=RUN_S,
            environment=variables,
        )
        summary += [f"{each.name} holds {each.kind}: {each.why}" for each in load.outputs]
    return Opened(
        config=config,
        isa=isa,
        environment=variables,
        model=model,
        calibration=calibration,
        validation=validation,
        load=load,
    )


def open_model(
    files: ModelFiles,
    folder: Path,
    *,
    legacy: bool = False,
    native_ops: tuple[str, ...] = (),
    keep_fp32: tuple[str, ...] = (),
) -> ModelArtifact:
    """The model as a release prepares it (`tasks.engines.task.load_model`), in the empty folder `folder`."""
    source = find_model(files)
    prepare = partial(prepare_model, legacy=legacy, native_ops=native_ops, keep_fp32=keep_fp32)
    with progress.stage("load model") as summary:
        doing = "loading the model into Paddle"
        prepared = _isolated(prepare, source, folder, step="load model", doing=doing, timeout_s=MODEL_S)
        census = prepared.census
        summary += [f"INT8 can reach {census.quantizable} of {census.compute} compute operators"]
        summary += [f"{progress.WARNING}never INT8: {name} ({why})" for name, why in census.never.items()]
    return prepared.artifact(source, files.path, folder)


def answers_of(opened: Opened, others: tuple[Alternative, ...] | None = None) -> Answers:
    """What FP32 answers to the validation samples.

    others: preprocessings to try; None tries the usual ones.
    """
    data, config = opened.validation, opened.config
    if others is None:
        channels = channels_of(data.dataset, opened.model)
        others = alternatives(config.data.preprocessing, channels) if channels else ()
    with progress.stage("run FP32") as summary:
        request = AnswersRequest(
            spec=opened.spec,
            model=opened.model,
            validation=data.dataset,
            outputs=opened.load.outputs,
            config=config.validation,
            names=tuple(each.name for each in sample_digests(data.dataset)),
            texts=data.texts,
            class_names=data.dataset.class_names,
            alternatives=others,
            step="run FP32",
        )
        answers = _isolated(
            *(answer, request),
            step="run FP32",
            doing="running FP32 on samples",
            timeout_s=RUN_S,
            environment=opened.environment,
        )
        summary += [f"{counted(len(answers.rows), 'sample')}, {answers.sample_ms:.1f} ms each"]
    return answers


def fp32(config: ReleaseConfig, model: ModelArtifact) -> PredictorSpec:
    """How the baseline of a release is opened."""
    return spec_of(baseline_folder(model.folder), BASELINE, config.validation.threads)


def labelled(opened: Opened, answers: Answers) -> Labelled | None:
    """FP32's decisions beside the labels; None where the labels belong to no output of classes."""
    if not answers.labels:
        return None
    return Labelled(
        decisions=answers.decisions,
        labels=answers.labels,
        classes=answers.number_of_classes,
        names=opened.validation.dataset.class_names,
    )


def _found(opened: Opened, answers: Answers, began: float) -> Check:
    config, validation = opened.config, opened.validation
    plan = planned(config, validation.taken)
    calibration_samples = opened.calibration.taken
    right_with = {
        words: agreeing(decisions, answers.labels) for words, decisions in answers.decisions_with.items()
    }
    found = tuple(
        doubts(
            labelled(opened, answers),
            answers.decisions_with,
            plan,
            calibration_samples=calibration_samples,
        )
    )
    candidates = config.quantization.candidates()
    measured = Measured(
        load_ms=opened.load.load_ms,
        call_ms=answers.call_ms,
        sample_ms=answers.sample_ms,
        draw_s=validation.seconds_each,
        calibration=calibration_samples,
        validation=validation.taken,
        peak_memory_bytes=opened.load.peak_memory_bytes,
        size_bytes=opened.model.size_bytes,
        input_bytes=answers.input_bytes,
    )
    parallel = Settings().parallel_candidates
    return Check(
        name=config.name,
        outcome=Outcome.INCONCLUSIVE if found else Outcome.APPROVED,
        isa=opened.isa,
        model=opened.model.source,
        inputs=opened.model.inputs,
        outputs=opened.load.outputs,
        census=opened.model.census,
        calibration=_data_findings(opened.calibration),
        validation=_data_findings(validation),
        ranges=answers.ranges,
        scores=tuple(
            Score(metric=name, value=sum(values) / len(values), samples=len(values))
            for name, values in answers.scores.items()
        ),
        samples=answers.samples,
        alternatives=right_with,
        doubts=found,
        candidates=tuple(each.name for each in candidates) + tuple(each.called for each in config.candidates),
        max_drop_pp=config.gate.max_drop_pp,
        deciding_samples=plan.samples,
        fewest_samples=fewest_for(plan.gate),
        fewest_for_all=fewest_for(plan.gate, plan.candidates),
        decidable_pp=margin_within(plan.samples, confidence=1 - allowed_error(plan.gate)),
        forecast=forecast(config, measured, candidates=config.number_of_candidates, parallel=parallel),
        page=Settings().root / "checks" / f"{config.name}.html",
        seconds=time.monotonic() - began,
    )


def _data_findings(data: ReadSamples) -> DataFindings:
    dataset = data.dataset
    return DataFindings(
        source=dataset.source,
        found=data.found,
        samples=data.taken,
        read=dataset.samples,
        classes=dataset.classes,
        labelled=dataset.labelled,
        notes=dataset.notes,
    )


def _read(
    step: str, source: Source, config: ReleaseConfig, model: ModelArtifact, folder: Path
) -> ReadSamples:
    calibration = source is config.data.calibration
    count = config.data.calibration_samples if calibration else config.data.validation_samples
    with progress.stage(step) as summary:
        read = _isolated(
            read_samples,
            *(source, count, config.data, (model.inputs, model.outputs)),
            *(made(folder / step.partition(" ")[0]), count if calibration else SAMPLES, step),
            step=step,
            doing="reading samples",
            timeout_s=DATA_S,
        )
        dataset: DatasetArtifact = read.dataset
        some = "" if dataset.samples == read.taken else f", {dataset.samples} of them read here"
        summary += [
            f"{read.taken} of {read.found} samples, {counted(dataset.classes, 'class', 'classes')}{some}",
            *dataset.notes,
        ]
    return read


def _isolated(
    function: Callable[..., T],
    *arguments: object,
    step: str,
    doing: str,
    timeout_s: float,
    environment: dict[str, str] | None = None,
) -> T:
    log = Settings().root / "logs" / "check" / f"{step.replace(' ', '-')}.log"
    return run_isolated(
        function,
        *arguments,
        step=step,
        log=log,
        timeout_s=timeout_s,
        environment=environment,
        doing=doing,
    )


def made(folder: Path) -> Path:
    """The folder, made now."""
    folder.mkdir()
    return folder
