"""Compares champion and challenger sample by sample, on the challenger's validation data.

When both were validated on the same samples and instruction set, the scores that their releases logged are
compared. Otherwise the champion is run again on the challenger's data, in an isolated process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import PipelineError, RegistryError
from paddle_int8.tasks.contracts.evidence import IsaEvidence, JudgedOutput
from paddle_int8.tasks.contracts.sequences import LENGTHS
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.contracts.wording import counted
from paddle_int8.tasks.hardware.levels import environment_for
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.promotion.judgement import Comparison
from paddle_int8.tasks.promotion.lookup import OUTCOMES, Registered
from paddle_int8.tasks.validation.statistics import metric_evidence

TIMEOUT_S = 3600
FROM_RECORDS = "scores of both releases"
MEASURED_ANEW = "the champion was run again on the challenger's validation data"

Scores = Mapping[str, Array]
"""The score of each sample, [N] by metric, as fractions of 1 in the order of the validation data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescoring:
    """A bundle to run on `data`, and how to score it.

    `inputs` are those of the model that the data were drawn for. `outputs` are the challenger's: they say
    which output the labels belong to.
    """

    bundle: Path
    data: DatasetArtifact
    inputs: tuple[TensorSpec, ...]
    metrics: tuple[str, ...]
    batch_size: int
    isa: IsaLevel
    outputs: tuple[JudgedOutput, ...] = ()


def compare(
    champion: Registered,
    challenger: Registered,
    targets: Sequence[IsaLevel],
    *,
    data: DatasetArtifact | None,
    inputs: tuple[TensorSpec, ...],
    confidence: float,
    log: Path,
) -> Iterator[Comparison]:
    """Compares the two by every metric of the challenger's release, on each instruction set in `targets`.

    `data` are the challenger's validation data, None when this host does not have them. `inputs` are the
    challenger's, and `log` receives what isolated processes print.
    """
    evidence = challenger.challenger.evidence
    for item in evidence.per_isa if evidence else ():
        if item.isa not in targets:
            continue
        try:
            ours = recorded(challenger, item)
            theirs, note = _champion_scores(champion, challenger, item, data, inputs, log)
        except PipelineError as error:
            yield Comparison(isa=item.isa, metric=None, note=error.found)
            continue
        for name in (metric.name for metric in item.metrics):
            metric = metric_evidence(name, theirs[name], ours[name], confidence=confidence)
            yield Comparison(isa=item.isa, metric=metric, note=note)


def recorded(version: Registered, item: IsaEvidence) -> dict[str, Array]:
    """The version's own score of each sample by metric, as its release logged them.

    Raises: RegistryError when the file is missing, lacks a metric, or could only be read by unpickling.
    """
    path = version.run / OUTCOMES / f"{item.isa}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {metric.name: stored[f"candidate/{metric.name}"] for metric in item.metrics}
    except (OSError, ValueError, KeyError) as error:
        raise RegistryError(
            found=f"no scores of version {version.challenger.version} on {item.isa} ({error})",
            required="the per-sample scores that its release logged",
            remedy="release the model again",
        ) from error


def rescore(request: Rescoring) -> dict[str, Array]:
    """Runs a bundle on every sample, in the isolated process. Returns its scores, [N] by metric.

    Raises: MeasurementError when the engine uses another instruction set than asked.
    """
    from paddle_int8.tasks.data.metrics.scoring import is_relative, resolve_metrics, score
    from paddle_int8.tasks.data.reader import BatchReader
    from paddle_int8.tasks.hardware.onednn import require_isa
    from paddle_int8.tasks.layouts.bundled import engine_of

    engine = engine_of(request.bundle)
    require_isa(request.isa, used=engine.isa(), by=engine.name)
    predictor = engine.open_bundle(request.bundle)
    metrics = resolve_metrics(request.metrics, labelled=request.data.labelled, outputs=request.outputs)
    reader = BatchReader(request.data, request.inputs)
    if len(predictor.input_names) != len(request.inputs):
        raise RegistryError(
            found=f"a champion with {counted(len(predictor.input_names), 'input')}, a challenger with "
            f"{len(request.inputs)}",
            required="two models that take the same data",
            remedy="register the new kind of model under another name",
        )
    if relative := [name for name, metric in metrics.items() if is_relative(metric)]:
        raise RegistryError(
            found=f"metrics relative to an FP32 model, of which each has its own: {', '.join(relative)}",
            required="metrics that score one model by itself",
            remedy="release the champion's model again on the challenger's validation data",
        )
    columns: dict[str, list[Array]] = {name: [] for name in metrics}
    done = 0
    for feed in reader.batches(request.batch_size):
        fed = _renamed(feed, request.inputs, predictor.input_names)
        outputs = predictor.run(fed)
        rows = len(next(iter(feed.values())))
        labels = None if reader.labels is None else reader.labels[done : done + rows]
        for name, metric in metrics.items():
            columns[name].append(score(name, metric, outputs, labels, outputs))
        done += rows
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def _renamed(feed: Feed, inputs: Sequence[TensorSpec], names: Sequence[str]) -> Feed:
    """Gives the inputs the names that the bundle uses, matched by their order.

    Another export of the same model may have other names. The lengths of a sequence are renamed with it.
    """
    renamed = {}
    for spec, name in zip(inputs, names, strict=True):
        for suffix in ("", LENGTHS):
            if spec.name + suffix in feed:
                renamed[name + suffix] = feed[spec.name + suffix]
    return renamed


def _champion_scores(
    champion: Registered,
    challenger: Registered,
    item: IsaEvidence,
    data: DatasetArtifact | None,
    inputs: tuple[TensorSpec, ...],
    log: Path,
) -> tuple[Scores, str]:
    if (theirs := _same_samples(champion, challenger, item)) is not None:
        return recorded(champion, theirs), FROM_RECORDS
    if data is None:
        raise RegistryError(
            found="the two were validated on different samples, and the challenger's are not in the store",
            required="both models' scores on the same samples",
            remedy="promote on a host whose store has them",
        )
    request = Rescoring(
        bundle=champion.bundle,
        data=data,
        inputs=inputs,
        metrics=tuple(metric.name for metric in item.metrics),
        batch_size=16,
        isa=item.isa,
        outputs=item.outputs,
    )
    scores = run_isolated(
        rescore,
        request,
        step=f"run the champion on {item.isa}",
        log=log,
        timeout_s=TIMEOUT_S,
        environment=environment_for(item.isa),
    )
    return scores, MEASURED_ANEW


def _same_samples(champion: Registered, challenger: Registered, item: IsaEvidence) -> IsaEvidence | None:
    """The champion's evidence on the same samples, instruction set and metrics; None when there is none."""
    theirs, ours = champion.challenger.evidence, challenger.challenger.evidence
    if theirs is None or ours is None or theirs.validation_digest != ours.validation_digest:
        return None
    wanted = {metric.name for metric in item.metrics}
    for each in theirs.per_isa:
        if each.isa is item.isa and wanted <= {metric.name for metric in each.metrics}:
            return each
    return None
