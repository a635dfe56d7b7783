"""Writes the bundle: what serving needs of an approved model, and nothing else.

model/                the model's files, in the engine's own format
deployment.json       how to open it, what it was validated on, what goes in and comes out
example_input.npz     one batch of validation samples ...
example_output.npz    ... and what the validated predictor answered
examples/predict.py, README.md, and what else the engine says of the bundle
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from paddle_int8.tasks.contracts.artifacts import Bundle, ModelArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import StorageError
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.engines.engine import BundleRequest
from paddle_int8.tasks.engines.example import EXAMPLE_INPUT, EXAMPLE_OUTPUT
from paddle_int8.tasks.store.folder import folder_digest

SCHEMA_VERSION = 1
DEPLOYMENT, MODEL, SCRIPT = "deployment.json", "model", "examples/predict.py"
"""Places in a bundle, whichever engine wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedIsa:
    """An instruction set that this bundle's bytes were measured on."""

    isa: IsaLevel
    emulated: bool
    speedup: float
    int8_share_by_count: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedPaddle:
    """Another version of Paddle Inference with which this bundle's bytes were measured, or did not run.

    error: why they do not run; "" where they do.
    speedup: how much faster than FP32 with that Paddle they are; None where they do not run.
    """

    version: str
    error: str
    speedup: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What an engine puts into its bundles.

    files: the model's files in the folder of the deployable.
    script: the file that becomes `examples/predict.py`. It imports nothing of this project.
    switches: how the script opens the model, as plain values; None where there is nothing to switch.
    versions: the versions of the packages that the model was validated with.
    requirements: what `pip install` needs to run the script.
    pythons: the versions of Python that the requirements can be installed in, such as "3.8".
    """

    files: tuple[str, ...]
    script: Path
    switches: object
    versions: dict[str, str]
    requirements: tuple[str, ...]
    pythons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The content of `deployment.json`. `switches`, `versions`, `requirements` and `pythons`: see `Contents`.

    tried_with: versions of Paddle Inference beside the one in `versions`.
    preprocessing: what samples go through before they are inputs of the model.
    strict: whether it refuses to open on an instruction set beside those in `validated_on`.
    """

    schema_version: int
    layout: str
    switches: object
    threads: int
    validated_on: tuple[ValidatedIsa, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocessing: dict[str, object]
    digest: str
    baseline_digest: str
    validation_digest: str
    versions: dict[str, str]
    requirements: tuple[str, ...]
    pythons: tuple[str, ...]
    strict: bool
    tried_with: tuple[TriedPaddle, ...] = ()


def bundled(files: tuple[str, ...]) -> tuple[str, ...]:
    """The places in a bundle of the model's files."""
    return tuple(f"{MODEL}/{name}" for name in files)


def fill_bundle(
    request: BundleRequest, contents: Contents, texts: Callable[[Deployment], Mapping[str, str]]
) -> Bundle:
    """Fills the request's empty folder. The example is copied from beside the first measured outcomes.

    texts: what the engine says of a deployment, by its file in the bundle: `README.md` at least.
    Raises: StorageError when the evidence belongs to other bytes, or the disk refuses.
    """
    folder, deployable, evidence = request.folder, request.deployable, request.evidence
    if evidence.digest != deployable.digest:
        raise StorageError(
            found=f"evidence of {evidence.digest[:12]} for a deployable of {deployable.digest[:12]}",
            required="evidence of the very bytes that are packed",
            remedy="validate this deployable, then pack it",
        )
    deployment = _deployment(request, contents)
    (folder / MODEL).mkdir(parents=True)
    (folder / SCRIPT).parent.mkdir()
    for name, place in zip(contents.files, bundled(contents.files), strict=True):
        shutil.copyfile(deployable.folder / name, folder / place)
    for name in (EXAMPLE_INPUT, EXAMPLE_OUTPUT):
        shutil.copyfile(evidence.per_isa[0].outcomes.with_name(name), folder / name)
    shutil.copyfile(contents.script, folder / SCRIPT)
    text = TypeAdapter(Deployment).dump_json(deployment, indent=2).decode()
    (folder / DEPLOYMENT).write_text(text + "\n", encoding="utf-8")
    for place, text in texts(deployment).items():
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Bundle(folder=StoredPath(folder), digest=folder_digest(folder), size_bytes=size)


def _deployment(request: BundleRequest, contents: Contents) -> Deployment:
    deployable, model, evidence = request.deployable, request.model, request.evidence
    return Deployment(
        schema_version=SCHEMA_VERSION,
        layout=deployable.candidate.layout,
        switches=contents.switches,
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
        versions=contents.versions,
        requirements=contents.requirements,
        pythons=contents.pythons,
        strict=request.strict,
        tried_with=tuple(
            TriedPaddle(
                version=each.paddle,
                error=each.error,
                speedup=each.measured.latency.speedup.ratio if each.measured else None,
            )
            for each in evidence.runtimes
        ),
    )


def _outputs(model: ModelArtifact, evidence: CandidateEvidence) -> tuple[TensorSpec, ...]:
    """The baseline's outputs by the candidate's own names: PaddleSlim renames them when it saves."""
    with np.load(evidence.per_isa[0].outcomes.with_name(EXAMPLE_OUTPUT)) as example:
        return tuple(
            replace(spec, name=name, dtype=str(values.dtype))
            for spec, (name, values) in zip(model.outputs, example.items(), strict=True)
        )
