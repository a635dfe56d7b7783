"""Writes the bundle: what serving needs of an approved model, and nothing else.

model/model.pdmodel, model/model.pdiparams
deployment.json       how to open it, what it was validated on, what goes in and comes out
example_input.npz     one batch of validation samples ...
example_output.npz    ... and what the validated predictor answered
examples/predict.py, examples/predict.cpp (not for `recurrent`), README.md
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from pydantic import TypeAdapter

from tasks.artifacts import (
    Bundle,
    CandidateEvidence,
    DeployableArtifact,
    IsaLevel,
    Layout,
    ModelArtifact,
    TensorSpec,
)
from tasks.config import Preprocessing
from tasks.errors import StorageError
from tasks.inference.example import EXAMPLE_INPUT, EXAMPLE_OUTPUT
from tasks.inference.layouts import SWITCHES, Switches, engine_of
from tasks.inference.predictor import MODEL_FILENAME, PARAMS_FILENAME
from tasks.store import folder_digest
from tasks.stored_path import StoredPath

SCHEMA_VERSION = 1
HERE = Path(__file__).parent
CPP = "examples/predict.cpp"
TEMPLATES = {"predict.cpp.jinja": CPP, "bundle_readme.md.jinja": "README.md"}
ENGINES = ("paddlepaddle", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedIsa:
    """An instruction set that this bundle's bytes were measured on."""

    isa: IsaLevel
    emulated: bool
    speedup: float
    int8_share_by_count: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """`deployment.json`. `preprocessing` is what the model's inputs went through before they got here."""

    schema_version: int
    layout: Layout
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


def write_bundle(
    folder: Path,
    *,
    deployable: DeployableArtifact,
    model: ModelArtifact,
    evidence: CandidateEvidence,
    preprocessing: Preprocessing,
    threads: int,
) -> Bundle:
    """Fills the empty `folder`; the example comes from beside the native evidence's outcomes.

    Raises: StorageError when the evidence is not of these bytes, or the disk refuses.
    """
    if evidence.digest != deployable.digest:
        raise StorageError(
            found=f"evidence of {evidence.digest[:12]} for a deployable of {deployable.digest[:12]}",
            required="evidence of the very bytes that are packed",
            remedy="validate this deployable, then pack it",
        )
    deployment = _deployment(deployable, model, evidence, preprocessing, threads)
    (folder / "model").mkdir(parents=True)
    (folder / "examples").mkdir()
    for name in (MODEL_FILENAME, PARAMS_FILENAME):
        shutil.copyfile(deployable.folder / name, folder / "model" / name)
    for name in (EXAMPLE_INPUT, EXAMPLE_OUTPUT):
        shutil.copyfile(evidence.per_isa[0].outcomes.with_name(name), folder / name)
    shutil.copyfile(HERE / "serving.py", folder / "examples" / "predict.py")
    text = TypeAdapter(Deployment).dump_json(deployment, indent=2).decode()
    (folder / "deployment.json").write_text(text + "\n", encoding="utf-8")
    _render(folder, deployment)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Bundle(folder=StoredPath(folder), digest=folder_digest(folder), size_bytes=size)


def _deployment(
    deployable: DeployableArtifact,
    model: ModelArtifact,
    evidence: CandidateEvidence,
    preprocessing: Preprocessing,
    threads: int,
) -> Deployment:
    return Deployment(
        schema_version=SCHEMA_VERSION,
        layout=deployable.candidate.layout,
        switches=replace(SWITCHES[engine_of(deployable.candidate.layout)], max_isa=held_to(evidence)),
        threads=threads,
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
        preprocessing=preprocessing.model_dump(mode="json"),
        digest=deployable.digest,
        baseline_digest=evidence.baseline_digest,
        validation_digest=evidence.validation_digest,
        versions={name: version(name) for name in ENGINES} | {"onednn": evidence.host.onednn_version},
    )


def held_to(evidence: CandidateEvidence) -> str:
    """What oneDNN was held to when it was measured for this host; "" when it had all that the CPU has."""
    served = next((item.isa for item in evidence.per_isa if not item.emulated), evidence.host.isa)
    return "" if served is evidence.host.isa else served.value


def _outputs(model: ModelArtifact, evidence: CandidateEvidence) -> tuple[TensorSpec, ...]:
    """The baseline's outputs by the candidate's own names: PaddleSlim renames them when it saves."""
    with np.load(evidence.per_isa[0].outcomes.with_name(EXAMPLE_OUTPUT)) as example:
        return tuple(
            replace(spec, name=name, dtype=str(values.dtype))
            for spec, (name, values) in zip(model.outputs, example.items(), strict=True)
        )


def _render(folder: Path, deployment: Deployment) -> None:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # C++ and Markdown
    )
    for template, name in TEMPLATES.items():
        if deployment.layout is Layout.RECURRENT and name == CPP:
            continue  # the example knows nothing of lengths and buckets
        text = environment.get_template(template).render(asdict(deployment))
        (folder / name).write_text(text, encoding="utf-8")
