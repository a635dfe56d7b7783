"""A small real model that takes two pictures and a boolean mask, and answers with scores and a class."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact
from tests.integration.small_release import SmallRelease, deployable, prepare

SIDE, CLASSES, SAMPLES = 16, 10, 50


def build(folder: Path) -> SmallRelease:
    """Runs in an isolated process."""
    _export(folder / "exported")
    model, validation = prepare(folder), _dataset(folder / "validation")
    made = deployable(folder, model, validation, "qdq")
    return SmallRelease(model=model, validation=validation, deployables={"qdq": made})


def _export(folder: Path) -> None:
    import paddle

    from tests.integration.networks import Masked

    paddle.seed(0)
    network = Masked(CLASSES)
    network.eval()
    picture, mask = [None, 3, SIDE, SIDE], [None, 1, SIDE, SIDE]
    specs = [
        paddle.static.InputSpec(picture, "float32", "image"),
        paddle.static.InputSpec(mask, "bool", "mask"),
        paddle.static.InputSpec(picture, "float32", "background"),
    ]
    paddle.jit.save(network, str(folder / "model"), input_spec=specs)


def _dataset(folder: Path) -> DatasetArtifact:
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ("image", "background"):
        np.save(folder / name, random.standard_normal((SAMPLES, 3, SIDE, SIDE)).astype(np.float32))
    np.save(folder / "mask", random.random((SAMPLES, 1, SIDE, SIDE)) < 0.7)
    np.save(folder / "labels", np.zeros(SAMPLES, np.int64))
    preprocessing = Preprocessing(layout="as_is", dtype="as_is")
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing.model_dump(mode="json")))
    (folder / "samples.json").write_text(json.dumps({"sample_digests": []}))
    return DatasetArtifact(
        folder=folder,
        digest="masked",
        source="generated",
        samples=SAMPLES,
        classes=CLASSES,
        seed=0,
        labelled=True,
    )
