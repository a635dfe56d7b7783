"""Small real models in every layout as bundles and MLflow models, and requests of which each is another.

Pictures go to MobileNet-V1 at a quarter of its width, whose height and width are free; sentences to a
bidirectional GRU of two layers, or to an LSTM.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.sequences import LENGTHS
from paddle_int8.tasks.hardware.profile import host_profile
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.tracking.registry import PYFUNC, REQUIREMENTS, signature
from tests.integration import small_release, small_sequences
from tests.integration.registry_ground import pack

PICTURE_LAYOUTS = ("offline", "offline_7bit", "qdq")
RECURRENT = ("gru", "lstm")
"""Models of sequences, both in the layout `recurrent`."""
MODELS = (*PICTURE_LAYOUTS, *RECURRENT)
BATCH_SIZES = (1, 2, 3, 5, 7, 16, 17, 33)
SIDES = (16, 20, 24)
LONGEST = 40
QUICK = ValidationConfig(metrics=("agreement",), repeats=20, warmup=2, references=())
"""How the models are measured: serving needs the example alone."""
TIMEOUT_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model of this module: its bundle, and the MLflow model of it."""

    name: str
    bundle: Path
    model: Path

    def request(self, index: int) -> Feed:
        """The inputs of request `index`; batch sizes take turns, and every request has other values."""
        random = np.random.default_rng(index)
        size = BATCH_SIZES[index % len(BATCH_SIZES)]
        if self.name in RECURRENT:
            lengths = random.integers(1, LONGEST, size)
            words = random.integers(0, small_sequences.WORDS, (size, lengths.max(), 1))
            return {"words": words, f"words{LENGTHS}": lengths}
        height, width = random.choice(SIDES, 2)
        return {"image": random.standard_normal((size, 3, height, width)).astype(np.float32)}


def build(folder: Path, names: Iterable[str] = MODELS) -> dict[str, Served]:
    """The models `names`, measured as a release measures them, packed, and saved for MLflow."""
    host, served = host_profile(), {}
    names = tuple(names)
    releases = {}
    if layouts := tuple(name for name in names if name in PICTURE_LAYOUTS):
        pictures = run_isolated(
            small_release.build,
            folder / "pictures",
            None,
            layouts,
            step="build",
            log=folder / "build.log",
            timeout_s=TIMEOUT_S,
        )
        releases |= {name: (pictures, name) for name in layouts}
    if set(names) & set(RECURRENT):
        taggers = run_isolated(
            small_sequences.build,
            folder / "sentences",
            step="build",
            log=folder / "build.log",
            timeout_s=TIMEOUT_S,
        )
        releases |= {name: (getattr(taggers, name), "recurrent") for name in RECURRENT if name in names}
    for name, (release, layout) in releases.items():
        bundle = Path(pack(release, layout, host, folder / name, config=QUICK).bundle.folder)
        served[name] = Served(name=name, bundle=bundle, model=save(bundle, folder / name / "mlflow"))
    return served


def save(bundle: Path, folder: Path) -> Path:
    """The MLflow model of a bundle, in `folder`, as a release registers it."""
    import mlflow.pyfunc

    deployment = json.loads((bundle / "deployment.json").read_text(encoding="utf-8"))
    with warnings.catch_warnings(record=True, action="ignore"):  # of type hints, as in `tracking.registry`
        mlflow.pyfunc.save_model(
            path=str(folder),
            python_model=str(PYFUNC),
            artifacts={"bundle": bundle.absolute().as_uri()},
            pip_requirements=list(REQUIREMENTS),
            signature=signature(deployment),
        )
    return folder


def digest(outputs: Iterable[Array]) -> str:
    """SHA-256 of arrays: their dtypes, shapes and bytes."""
    found = hashlib.sha256()
    for values in outputs:
        found.update(f"{values.dtype}{values.shape}".encode() + np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def serial_answers(served: Served, count: int) -> list[str]:
    """The digest of each answer from one predictor, one request after another. Isolated process."""
    from paddle_int8.tasks.engines.paddle.serving import load_bundle

    predictor = load_bundle(served.bundle)
    return [digest(predictor.run(served.request(index))) for index in range(count)]
