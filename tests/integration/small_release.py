"""A small real model, quantized both ways, and labelled data that it knows; built once for all tests."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import ConversionConfig, QuantizationConfig
from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    DatasetArtifact,
    DeployableArtifact,
    ModelArtifact,
)
from paddle_int8.tasks.contracts.evidence import IsaEvidence
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.paddle.files import ModelFormat, find_model
from paddle_int8.tasks.engines.paddle.load import prepare_model
from paddle_int8.tasks.engines.paddle.original import baseline_folder
from paddle_int8.tasks.engines.paddle.predictor import spec_of
from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_model
from paddle_int8.tasks.engines.paddle.switches import BASELINE
from paddle_int8.tasks.hardware.levels import environment
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts.layout import ConversionRequest
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.validation.baseline import OUTPUTS, OutputsRequest, write_baseline_outputs
from paddle_int8.tasks.validation.fitness import measure_baseline
from paddle_int8.tasks.validation.measure import measure
from paddle_int8.tasks.validation.request import MeasureRequest
from paddle_int8.tasks.validation.timing import time_process

SIDE, CLASSES, SAMPLES = 32, 10, 50
SLIM = ("offline", "qdq")
"""The layouts that PaddleSlim quantizes for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallRelease:
    """MobileNet-V1 at a quarter of its width, on pictures that it labelled itself."""

    model: ModelArtifact
    validation: DatasetArtifact
    deployables: dict[str, DeployableArtifact]


def build(folder: Path, side: int | None = SIDE, layouts: tuple[str, ...] = SLIM) -> SmallRelease:
    """Runs in an isolated process. `side` of the model's pictures; None leaves height and width free."""
    labels = _export(folder / "exported", side)
    validation = _dataset(folder / "validation", labels)
    model = prepare(folder)
    deployables = {layout: deployable(folder, model, validation, layout) for layout in layouts}
    return SmallRelease(model=model, validation=validation, deployables=deployables)


def pictures() -> Array:
    """[SAMPLES, 3, SIDE, SIDE] float32, seeded."""
    return np.random.default_rng(0).standard_normal((SAMPLES, 3, SIDE, SIDE)).astype(np.float32)


def _export(folder: Path, side: int | None) -> Array:
    """The model's own answer to each picture, after saving it. Weights as at the start of a training:
    with Paddle's default initialisation activations vanish, and timings lie."""
    import paddle
    from paddle import nn

    paddle.seed(0)
    network = paddle.vision.models.mobilenet_v1(scale=0.25, num_classes=CLASSES)
    for layer in network.sublayers():
        if isinstance(layer, nn.Conv2D):
            nn.initializer.KaimingNormal()(layer.weight)
    network.train()
    for _ in range(20):
        network(paddle.to_tensor(pictures()))
    network.eval()
    spec = paddle.static.InputSpec([None, 3, side, side], "float32", "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])
    labels: Array = network(paddle.to_tensor(pictures())).numpy().argmax(axis=1)
    return labels


def _dataset(folder: Path, labels: Array) -> DatasetArtifact:
    folder.mkdir()
    np.save(folder / "image.npy", pictures())
    np.save(folder / "labels.npy", labels)
    preprocessing = Preprocessing(layout="as_is", dtype="as_is")
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing.model_dump(mode="json")))
    (folder / "samples.json").write_text(json.dumps({"sample_digests": []}))
    return DatasetArtifact(
        folder=folder,
        digest="validation",
        source="generated",
        samples=SAMPLES,
        classes=CLASSES,
        seed=0,
        labelled=True,
    )


def prepare(folder: Path, *, legacy: bool = False) -> ModelArtifact:
    """The model in `folder/exported`, repaired, in `folder/fp32`."""
    source = find_model(ModelFiles(path=folder / "exported"))
    prepared = prepare_model(source, folder / "fp32", legacy=legacy)
    return ModelArtifact(
        folder=folder / "fp32",
        digest=prepared.digest,
        source=str(source.program),
        source_format=ModelFormat.COMBINED,
        source_digest=source.source_digest,
        inputs=prepared.inputs,
        outputs=prepared.outputs,
        census=prepared.census,
        repairs=prepared.repairs,
        size_bytes=prepared.size_bytes,
    )


def deployable(
    folder: Path, model: ModelArtifact, data: DatasetArtifact, layout: str, algorithm: str = "abs_max"
) -> DeployableArtifact:
    candidate = Candidate(algorithm=algorithm, layout=layout)
    quantized = folder / f"{layout}-quantized"
    quantized.mkdir()
    outcome = quantize_model(
        ptq_request(
            model=model,
            calibration=data,
            candidate=candidate,
            config=QuantizationConfig(),
            batch_size=10,
            folder=quantized,
        )
    )
    converted = convert(quantized, folder / layout, layout)
    return DeployableArtifact(
        candidate=candidate,
        folder=converted.folder,
        digest=converted.digest,
        size_bytes=converted.size_bytes,
        int8_ops=converted.int8_ops,
        seconds=outcome.seconds,
        log=folder / "build.log",
        quantized=quantized,
    )


def convert(quantized: Path, folder: Path, layout: str) -> ConvertedModel:
    """Converts what a quantizer wrote, as a release does it."""
    request = ConversionRequest(quantized=quantized, folder=folder, config=ConversionConfig())
    return LAYOUTS.find(layout).convert(request)


def measured(
    release: SmallRelease,
    layout: str,
    folder: Path,
    *,
    isa: IsaLevel,
    emulated: bool = False,
    **changes: Any,
) -> IsaEvidence:
    """A candidate measured as a release does it, few repeats; `changes` are fields of MeasureRequest.

    The baseline's outputs are computed unless `folder` has them.
    """
    config = changes.pop("config", ValidationConfig(repeats=20, warmup=2, processes=2))
    variables = environment(isa, limited=emulated, threads=config.threads)
    baseline_load = run_isolated(
        measure_baseline,
        spec_of(baseline_folder(release.model.folder), BASELINE, config.threads),
        release.model,
        release.validation,
        config,
        step="load baseline",
        log=folder / "load.log",
        timeout_s=300,
        environment=variables,
    )
    outputs = folder / OUTPUTS
    if not outputs.exists():
        wanted = OutputsRequest(
            model=release.model,
            validation=release.validation,
            batch_size=config.accuracy_batch_size,
            threads=config.threads,
            isa=isa,
            folder=folder,
        )
        run_isolated(
            write_baseline_outputs,
            wanted,
            step=wanted.step,
            log=folder / "outputs.log",
            timeout_s=300,
            environment=variables,
        )
    request = MeasureRequest(
        model=release.model,
        deployable=release.deployables[layout],
        validation=release.validation,
        config=config,
        confidence=0.95,
        isa=isa,
        emulated=emulated,
        folder=folder / "evidence",
        log=folder / "measure.log",
        baseline_outputs=outputs,
        baseline_load=baseline_load,
    )
    request = replace(request, **changes)
    isolated = partial(run_isolated, log=request.log, timeout_s=300, environment=variables)
    timings = [isolated(time_process, request, place, step="time") for place in range(config.processes)]
    evidence: IsaEvidence = isolated(measure, request, timings, step="measure")
    return evidence
