"""Runs algorithms that change the FP32 model. Isolated processes only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate, DatasetArtifact, ModelArtifact
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.quantization.preparation import Prepare, PrepareRequest
from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_with
from paddle_int8.tasks.engines.paddle.switches import NATIVE_FP32
from paddle_int8.tasks.layouts import LAYOUTS
from tests.integration.small_models import sqnr_db
from tests.integration.small_release import convert
from tests.integration.test_quantization import Samples

Feed = dict[str, Any]


def dataset(folder: Path, feed: Feed) -> DatasetArtifact:
    """Samples without labels, which a model takes as they are."""
    folder.mkdir()
    for name, values in feed.items():
        np.save(folder / f"{name}.npy", values)
    taken = Preprocessing(layout="as_is", dtype="as_is").model_dump_json()
    (folder / "preprocessing.json").write_text(taken, encoding="utf-8")
    samples = len(next(iter(feed.values())))
    return DatasetArtifact(
        folder=folder, digest="", source="", samples=samples, classes=0, seed=0, labelled=False
    )


def changed(model: ModelArtifact, prepare: Prepare, data: DatasetArtifact, folder: Path) -> Path:
    """`folder`, with the model in it as `prepare` changes it."""
    folder.mkdir()
    asked = PrepareRequest(
        model=model.folder,
        inputs=model.inputs,
        calibration=data,
        batch_size=8,
        config=QuantizationConfig(),
        folder=folder,
    )
    prepare(asked)
    return folder


def relative_change(before: Path, after: Path, feed: Feed) -> float:
    """The greatest difference between the answers of two FP32 models, as a part of the greatest answer."""
    pairs = zip(*(answers(folder, feed) for folder in (before, after)), strict=True)
    return max(float(np.abs(new - old).max() / np.abs(old).max()) for old, new in pairs)


def answers(folder: Path, feed: Feed) -> list[Any]:
    return open_predictor(spec_of(folder, NATIVE_FP32, 1)).run(feed)


def int8_db(
    model: ModelArtifact,
    candidate: Candidate,
    data: DatasetArtifact,
    feed: Feed,
    folder: Path,
    **options: Any,
) -> float:
    """The SQNR of the INT8 model's first answer to `feed`, with which it was also calibrated."""
    quantized, deployable = folder / "quantized", folder / "deployable"
    quantized.mkdir(parents=True)
    request = ptq_request(
        model=model,
        calibration=data,
        candidate=candidate,
        config=QuantizationConfig(**options),
        batch_size=8,
        folder=quantized,
    )
    quantize_with(request, Samples(feed))
    convert(quantized, deployable, candidate.layout)
    int8 = open_predictor(spec_of(deployable, LAYOUTS.find(candidate.layout).switches, 1)).run(feed)
    return sqnr_db(answers(model.folder, feed)[0], int8[0])
