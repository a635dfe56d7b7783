"""Drafts a configuration: looks at model and data, asks what they do not tell, and writes the file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NotRequired, TypedDict

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.config.hardware import HardwareConfig, HardwarePolicy
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.config.spoken import as_name
from paddle_int8.tasks.contracts.artifacts import HostProfile, ModelArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import (
    ConfigError,
    DataError,
    MeasurementError,
    ModelFormatError,
    storage_error,
)
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.contracts.wording import counted, points
from paddle_int8.tasks.data.metrics.agreement import AGREEMENT
from paddle_int8.tasks.drafting import fitting, recognition, split
from paddle_int8.tasks.drafting.classes import order_of_names
from paddle_int8.tasks.drafting.questions import Interview, Question
from paddle_int8.tasks.drafting.sources import Data, Found
from paddle_int8.tasks.drafting.trials import Trial, tried
from paddle_int8.tasks.drafting.writing import Notes, written
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.gate.looks import allowed_error
from paddle_int8.tasks.gate.sufficiency import margin_within
from paddle_int8.tasks.hardware.levels import VNNI
from paddle_int8.tasks.preview.check import look_at_host, made, open_model
from paddle_int8.tasks.store import archives
from paddle_int8.tasks.store.folder import scratch
from paddle_int8.tasks.validation.statistics import fewest_samples

TOP1, STEP_METRIC = "top1", "paddle_int8.tasks.data.metrics.sequences:label_accuracy"
ENOUGH_SAMPLES = 5000
"""So many decide a margin of half a point, even where INT8 uses up half of it."""
MOST_CALIBRATION = 64
PLAIN_NAMES = frozenset({"model", "inference", "export", "exported", "output", "__model__", "fp32"})
"""Names of folders and files that say nothing about a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRequest:
    """What a configuration is drafted for. `validation` is None where `data` holds both parts or is split.

    classes: a file with the names of the classes, a line each, in the order of the model's output.
    force: whether files that are there are overwritten.
    """

    model: ModelFiles
    data: Path
    validation: Path | None = None
    name: str | None = None
    output: Path | None = None
    classes: Path | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The configuration that was written, and what to know about it.

    files: that were written beside it.
    understood: what the model and the data were taken for, in sentences.
    assumed: questions of which the default was taken, by their options.
    """

    path: Path
    files: tuple[Path, ...]
    understood: tuple[str, ...]
    assumed: tuple[str, ...]


class _Sections(TypedDict):
    """The sections of the configuration that is written."""

    name: str
    model: dict[str, object]
    data: dict[str, object]
    validation: dict[str, object]
    quantization: NotRequired[dict[str, object]]
    gate: NotRequired[dict[str, object]]


@dataclass(slots=True, kw_only=True)
class _Plan:
    """What is known so far: sections of the configuration, and the reasons that stand beside them."""

    name: str
    host: HostProfile
    model: ModelFiles
    artifact: ModelArtifact
    data: Data
    metric: str
    preprocessing: dict[str, object] = field(default_factory=dict)
    order: Mapping[int, int] | None = None
    notes: Notes = field(default_factory=Notes)

    @property
    def batch(self) -> int:
        """The number of samples that the model takes at a time; 0 where it is free."""
        return max(
            0, *(spec.shape[0] for spec in self.artifact.inputs if spec.shape and not spec.sequence), 0
        )

    def sections(self, parts: Data) -> _Sections:
        """The configuration of a release on `parts`."""
        assert parts.calibration is not None
        samples = min(MOST_CALIBRATION, parts.calibration.samples)
        data: dict[str, object] = {
            "calibration": dict(parts.calibration.source),
            "validation": dict(parts.validation.source),
            "preprocessing": self.preprocessing,
            "calibration_samples": samples,
        }
        validation: dict[str, object] = {"metrics": [self.metric]}
        if batch := self.batch:
            data["calibration_samples"] = max(batch, samples // batch * batch)
            data["validation_samples"] = parts.validation.samples // batch * batch
            data["calibration_batch_size"] = batch
            validation |= {"batch_size": batch, "accuracy_batch_size": batch}
        sections: _Sections = {
            "name": self.name,
            "model": self.model.model_dump(exclude_none=True),
            "data": data,
            "validation": validation,
        }
        if asked := quantization(self.artifact.inputs, self.host.isa):
            sections["quantization"] = asked
        return sections


def quantization(inputs: Sequence[TensorSpec], isa: IsaLevel) -> dict[str, object]:
    """The section `quantization` for a model of these inputs; empty where every default is right."""
    if any(spec.sequence for spec in inputs):
        layouts = ["recurrent"] if isa in VNNI else ["recurrent", "recurrent_7bit"]
        return {"algorithms": ["abs_max", "KL"], "layouts": layouts}
    return {} if isa in VNNI else {"layouts": ["offline", "offline_7bit", "qdq"]}


def draft(request: DraftRequest, interview: Interview) -> Draft:
    """Writes the configuration.

    Raises: PipelineError when model or data cannot be used, a file is in the way, or a question stays open.
    """
    _require_model(request)
    name = request.name or _name_of(request)
    output = (request.output or Path(f"{name}.yaml")).resolve()
    _require_free(output, request.force)
    data = _data(request, output, interview)
    with scratch(Settings().store, "init") as folder:
        host = look_at_host(HardwareConfig(policy=HardwarePolicy.IGNORE))
        artifact = open_model(request.model, made(folder / "model"))
        metric = _metric(data.validation)
        plan = _Plan(name=name, host=host, model=request.model, artifact=artifact, data=data, metric=metric)
        if request.classes:
            plan.order = order_of_names(request.classes, data)
        _fit(plan, interview, folder)
    return _write(plan, request, output, interview)


def _require_model(request: DraftRequest) -> None:
    """Requires a model where one is named.

    Raises: ModelFormatError when there is none, ConfigError when there is one in place of the data.
    """
    try:
        find_model(request.model)
    except ModelFormatError as error:
        try:
            find_model(ModelFiles(path=request.data))
        except ModelFormatError:
            raise error from None
        raise ConfigError(
            found=f"no model at {request.model.path}, and one at {request.data}",
            required="the model first, then the data",
            remedy="give both in the other order",
        ) from error


def _name_of(request: DraftRequest) -> str:
    """A name out of the model's path, or of the data's where that says nothing."""
    path = request.model.path
    names = [path.stem, path.parent.name, request.data.resolve().stem, "my-model"]
    return next(found for name in names if (found := as_name(name)) and found.lower() not in PLAIN_NAMES)


def _require_free(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise ConfigError(
            found=f"{path}, which is there already",
            required="a new file",
            remedy="give another name with --output, or --force to overwrite it",
        )


def _data(request: DraftRequest, output: Path, interview: Interview) -> Data:
    path = request.data
    if recognition.is_archive(path):
        path = _unpacked(path, output, interview)
    if request.validation is None:
        return recognition.recognised(path)
    return Data(calibration=recognition.single(path), validation=recognition.single(request.validation))


def _unpacked(path: Path, output: Path, interview: Interview) -> Path:
    folder = output.parent / path.name.partition(".")[0]
    question = Question(
        option="unpack",
        text=f"{path.name} is an archive. Into which folder shall it be unpacked?",
        default=str(folder),
    )
    target = Path(interview.ask(question)).resolve()
    if target.is_dir() and any(target.iterdir()):
        return target
    try:
        target.mkdir(parents=True, exist_ok=True)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(target)
        else:
            archives.unpack(path, target)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(
            found=f"{path}: {error}", required="a whole archive", remedy="unpack it, and give the folder"
        ) from error
    return target


def _metric(found: Found) -> str:
    if not found.labelled:
        return AGREEMENT
    return STEP_METRIC if found.kind == "tagged_text" else TOP1


def _fit(plan: _Plan, interview: Interview, folder: Path) -> None:
    """Finds the preprocessing, by trials where there are labels, and asks for what is left."""
    inputs = plan.artifact.inputs
    if not fitting.bytes_of(plan.data.validation, inputs):
        plan.preprocessing = fitting.prepared(inputs).model_dump(exclude_defaults=True)
        plan.notes.preprocessing = "the arrays are taken as they are"
        return
    pictures = fitting.require_pictures(inputs)
    size = fitting.size_of(pictures, interview)
    best = _best(plan, pictures, size, interview, folder)
    placement = interview.ask(
        Question(
            option="placement",
            text="How are pictures brought to the model's size?",
            default=best.placement if best else fitting.usual_placement(size),
            why=plan.notes.preprocessing,
            choices=fitting.PLACEMENTS,
        )
    )
    name = best.arithmetic if best else fitting.usual_arithmetic(pictures.channels)
    if pictures.real:
        name = interview.ask(
            Question(
                option="preprocessing",
                text="Which values did the training give to the model?",
                default=name,
                why=plan.notes.preprocessing,
                choices=fitting.choices(pictures.channels),
            )
        )
    plan.preprocessing = fitting.placed(pictures, size, placement) | fitting.arithmetic(pictures, name)
    found = plan.data.validation
    if best and best.order and plan.data.whole and found.kind == "image_folder":
        _settle_order(plan, best.order, interview)


def _best(
    plan: _Plan, pictures: fitting.Pictures, size: tuple[int, int], interview: Interview, folder: Path
) -> Trial | None:
    """The preprocessing with which FP32 is right most often; None where nothing can be concluded."""
    given = interview.given.get("placement")
    placements = [given] if given else list(dict.fromkeys((fitting.usual_placement(size), "whole")))
    if plan.metric != TOP1 or not pictures.real:
        plan.notes.preprocessing = "nothing tells which is right: no labels" if plan.metric != TOP1 else ""
        return None
    trials: list[Trial] = []
    parts = split.parted(plan.data, folder / "trial", plan.order)
    names = list(fitting.choices(pictures.channels))
    try:
        for placement in placements:
            plan.preprocessing = fitting.placed(pictures, size, placement) | fitting.arithmetic(
                pictures, names[0]
            )
            config = ReleaseConfig.model_validate(plan.sections(parts))
            trials += tried(config, plan.host, plan.artifact, folder / f"tried-{placement}", placement, names)
    except MeasurementError as error:
        plan.metric = AGREEMENT
        plan.notes.metric = f"not {TOP1}: {error.found}"
        plan.notes.preprocessing = "nothing tells which is right"
        return None
    return _concluded(plan, trials)


def _concluded(plan: _Plan, trials: list[Trial]) -> Trial | None:
    ordered = sorted(trials, key=lambda trial: -trial.right)
    if not ordered or not ordered[0].clear:
        plan.notes.preprocessing = "FP32 is right no more often than by chance with any that was tried"
        return None
    best = ordered[0]
    others = {each.arithmetic: each.right for each in reversed(ordered) if each.arithmetic != best.arithmetic}
    equal = [name for name, right in others.items() if right == best.right]
    second = f", as often with {', '.join(equal)}" if equal else ""
    if others and not equal:
        second = f", on {max(others.values())} at most with other values"
    order = ", in another order of the classes" if best.order else ""
    plan.notes.preprocessing = (
        f"FP32 is right on {best.right} of {best.samples} samples with this{order}{second}"
    )
    return best


def _settle_order(plan: _Plan, order: Mapping[int, int], interview: Interview) -> None:
    """Asks whether labels are to be renumbered, where FP32's answers fit another order of the classes."""
    pairs = ", ".join(f"{label} is {answered}" for label, answered in list(order.items())[:6])
    answer = interview.ask(
        Question(
            option="renumber",
            text=f"FP32's answers fit another order of the classes: label {pairs}. Renumber the labels so?",
            default="no",
            why="labels are yours to say: --classes takes a file with their names in the order of the output",
            choices={"no": "keep the labels", "yes": "write them in the model's order"},
        )
    )
    if answer == "yes":
        plan.order = order


def _write(plan: _Plan, request: DraftRequest, output: Path, interview: Interview) -> Draft:
    stem = output.with_suffix("")
    for part in split.PARTS:
        for suffix in (".txt", ".npz"):
            if plan.data.whole:
                _require_free(stem.with_name(f"{stem.name}-{part}{suffix}"), request.force)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        parts = split.parted(plan.data, stem, plan.order)
        sections = plan.sections(parts)
        _settle_gate(plan, sections, parts, interview)
        output.write_text(written(sections, plan.notes, plan.artifact, parts, output), encoding="utf-8")
    except OSError as error:
        raise storage_error(error, output.parent) from error
    load_config(output)
    sources = [
        value for part in (parts.calibration, parts.validation) if part for value in part.source.values()
    ]
    beside = [each for each in sources if isinstance(each, Path) and each.name.startswith(f"{stem.name}-")]
    return Draft(
        path=output,
        files=tuple(beside),
        understood=tuple(_understood(plan, parts)),
        assumed=tuple(interview.assumed),
    )


def _settle_gate(plan: _Plan, sections: _Sections, parts: Data, interview: Interview) -> None:
    """The number of samples, where there are very many, and the margin that they can decide.

    They decide it for all candidates together, even if each of these errs on samples of its own.
    """
    samples = parts.validation.samples
    if samples > ENOUGH_SAMPLES and not plan.batch:
        answer = interview.ask(
            Question(
                option="samples",
                text=f"There are {samples:,} samples to validate on. How many shall decide?",
                default=str(ENOUGH_SAMPLES),
                why="enough for a margin of half a point",
                read=_whole_number,
            )
        )
        samples = sections["data"]["validation_samples"] = min(samples, _whole_number(answer))
    usual = GateConfig()
    candidates = len(QuantizationConfig.model_validate(sections.get("quantization", {})).candidates())
    confidence = 1 - allowed_error(usual) / candidates
    narrowest = margin_within(samples, confidence=confidence)
    enough = samples >= fewest_samples(usual.max_drop_pp, confidence=confidence)
    plan.notes.margin = (
        f"{counted(samples, 'sample')} can decide {points(f'{narrowest:g}')} or more for "
        f"{counted(candidates, 'candidate')}, if INT8 loses none of them"
    )
    answer = interview.ask(
        Question(
            option="margin",
            text="How many points of accuracy may INT8 lose?",
            default=f"{usual.max_drop_pp if enough else narrowest:g}",
            why=plan.notes.margin,
            read=_margin,
        )
    )
    sections["gate"] = {"max_drop_pp": _margin(answer)}


def _whole_number(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise ConfigError(found=f"{text!r}", required="a whole number from 1", remedy="correct --samples")
    return int(text)


def _margin(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100:
        raise ConfigError(
            found=f"a margin of {text!r}",
            required="a number above 0 and up to 100",
            remedy="correct --margin",
        )
    return value


def _understood(plan: _Plan, parts: Data) -> Iterator[str]:
    census = plan.artifact.census
    yield f"model: {_specs(plan.artifact.inputs)} to {_specs(plan.artifact.outputs)}"
    yield f"INT8 can reach {census.quantizable} of {census.compute} compute operators"
    yield from (f"never INT8: {name} ({why})" for name, why in census.never.items())
    if plan.data.whole:
        assert parts.calibration is not None
        counts = f"{parts.calibration.samples:,} calibrate, {parts.validation.samples:,} validate"
        yield f"data: {plan.data.validation.words}; {counts}"
    elif plan.data.calibration:
        yield f"calibration: {plan.data.calibration.words}"
        yield f"validation: {plan.data.validation.words}"
    if plan.notes.preprocessing:
        yield f"preprocessing: {plan.notes.preprocessing}"
    if plan.notes.metric:
        yield f"metric: {plan.metric}, {plan.notes.metric}"


def _specs(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in specs)
