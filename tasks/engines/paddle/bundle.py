"""Writes the bundle: what serving needs of an approved model, and nothing else.

model/model.pdmodel, model/model.pdiparams
deployment.json       how to open it, what it was validated on, what goes in and comes out
example_input.npz     one batch of validation samples ...
example_output.npz    ... and what the validated predictor answered
examples/predict.py, README.md, and examples/predict.cpp or, in the README, why there is none
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from importlib.metadata import metadata, version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from paddle_int8.tasks.contracts.artifacts import Bundle, ModelArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import StorageError
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.engines.engine import BundleRequest
from paddle_int8.tasks.engines.paddle.bundle_texts import render
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.example import EXAMPLE_INPUT, EXAMPLE_OUTPUT
from paddle_int8.tasks.engines.paddle.predictor import MODEL_FILENAME, PARAMS_FILENAME
from paddle_int8.tasks.engines.paddle.switches import Switches
from paddle_int8.tasks.store.folder import folder_digest

SCHEMA_VERSION = 1
SERVING = Path(__file__).with_name("serving.py")
BUNDLED = (f"model/{MODEL_FILENAME}", f"model/{PARAMS_FILENAME}")
PADDLE = "paddlepaddle"
SERVED_WITH = (PADDLE, "numpy")
PYTHON_OF_A_WHEEL = "Programming Language :: Python :: 3."


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedIsa:
    """An instruction set that this bundle's bytes were measured on."""

    isa: IsaLevel
    emulated: bool
    speedup: float
    int8_share_by_count: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The content of `deployment.json`.

    preprocessing: what samples go through before they are inputs of the model.
    pythons: the versions of Python for which the Paddle of `versions` has wheels.
    """

    schema_version: int
    layout: str
    switches: Switches
    threads: int
    validated_on: tuple[ValidatedIsa, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocessing: dict[str, Any]
    digest: str
    baseline_digest: str
    validation_digest: str
    versions: dict[str, str]
    pythons: tuple[str, ...]


def write_bundle(request: BundleRequest) -> Bundle:
    """Fills the request's empty folder. The example is copied from beside the first measured outcomes.

    Raises: StorageError when the evidence belongs to other bytes, or the disk refuses.
    """
    folder, deployable, evidence = request.folder, request.deployable, request.evidence
    if evidence.digest != deployable.digest:
        raise StorageError(
            found=f"evidence of {evidence.digest[:12]} for a deployable of {deployable.digest[:12]}",
            required="evidence of the very bytes that are packed",
            remedy="validate this deployable, then pack it",
        )
    deployment = _deployment(request)
    (folder / "model").mkdir(parents=True)
    (folder / "examples").mkdir()
    for name in (MODEL_FILENAME, PARAMS_FILENAME):
        shutil.copyfile(deployable.folder / name, folder / "model" / name)
    for name in (EXAMPLE_INPUT, EXAMPLE_OUTPUT):
        shutil.copyfile(evidence.per_isa[0].outcomes.with_name(name), folder / name)
    shutil.copyfile(SERVING, folder / "examples" / "predict.py")
    text = TypeAdapter(Deployment).dump_json(deployment, indent=2).decode()
    (folder / "deployment.json").write_text(text + "\n", encoding="utf-8")
    for name, text in render(asdict(deployment)).items():
        (folder / name).write_text(text, encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Bundle(folder=StoredPath(folder), digest=folder_digest(folder), size_bytes=size)


def bundle_digest(bundle: Path) -> str:
    """The digest of the model in a bundle."""
    return program_digest(bundle / "model")


def pythons() -> tuple[str, ...]:
    """The versions of Python that this Paddle has wheels for, from "3.8" on."""
    classifiers = metadata(PADDLE).get_all("Classifier") or []
    return tuple(text.split()[-1] for text in classifiers if text.startswith(PYTHON_OF_A_WHEEL))


def _deployment(request: BundleRequest) -> Deployment:
    deployable, model, evidence = request.deployable, request.model, request.evidence
    return Deployment(
        schema_version=SCHEMA_VERSION,
        layout=deployable.candidate.layout,
        switches=replace(request.switches, max_isa=held_to(evidence)),
        threads=request.threads,
        validated_on=tuple(
            ValidatedIsa(
                isa=measured.isa,
                emulated=measured.emulated,
                speedup=measured.latency.speedup.ratio,
                int8_share_by_count=measured.audit.int8_share_by_count,
            )
            for measured in evidence.per_isa
        ),
        inputs=model.inputs,
        outputs=_outputs(model, evidence),
        preprocessing=request.preprocessing.model_dump(mode="json"),
        digest=deployable.digest,
        baseline_digest=evidence.baseline_digest,
        validation_digest=evidence.validation_digest,
        versions={name: version(name) for name in SERVED_WITH} | {"onednn": evidence.host.onednn_version},
        pythons=pythons(),
    )


def held_to(evidence: CandidateEvidence) -> str:
    """The instruction set that oneDNN was held to when the model was measured for this host.

    "" when it was measured with all that the CPU has.
    """
    served = next((item.isa for item in evidence.per_isa if not item.emulated), evidence.host.isa)
    return "" if served is evidence.host.isa else served.value


def _outputs(model: ModelArtifact, evidence: CandidateEvidence) -> tuple[TensorSpec, ...]:
    """The baseline's outputs by the candidate's own names: PaddleSlim renames them when it saves."""
    with np.load(evidence.per_isa[0].outcomes.with_name(EXAMPLE_OUTPUT)) as example:
        return tuple(
            replace(spec, name=name, dtype=str(values.dtype))
            for spec, (name, values) in zip(model.outputs, example.items(), strict=True)
        )
