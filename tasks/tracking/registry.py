"""Registers an approved bundle in MLflow as a model version, which serving loads by its alias.

The bundle is wrapped as an MLflow pyfunc model from code: loading it needs no pickle and always sets the
predictor's switches. All functions take explicit ids instead of MLflow's process-wide active run.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

from paddle_int8.tasks.contracts.artifacts import Bundle, RegisteredVersion
from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.contracts.sequences import LENGTHS
from paddle_int8.tasks.contracts.verdict import Verdict
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.process import temporary
from paddle_int8.tasks.store.folder import folder_digest
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.tracking.summary import REPORT

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

PYFUNC = Path(__file__).with_name("pyfunc_model.py")
PROMOTIONS = ".promotions"
"""The decisions on the model `digits` are kept in a second registered model, `digits` + this suffix."""


class Described(TypedDict):
    """An input or an output of a bundle."""

    name: str
    dtype: str
    shape: list[int]
    sequence: NotRequired[bool]


class ValidatedOn(TypedDict):
    """An instruction set that a bundle was validated on."""

    isa: str


class Registrable(TypedDict):
    """What registration reads of a bundle's `deployment.json`."""

    digest: NotRequired[str]
    validated_on: list[ValidatedOn]
    inputs: list[Described]
    outputs: list[Described]
    requirements: list[str]


def register(
    tracking_uri: str,
    run_id: str,
    bundle: Bundle,
    *,
    name: str,
    alias: str,
    verdict: Verdict,
    description: str,
    python_model: Path = PYFUNC,
) -> RegisteredVersion:
    """Logs `bundle` under the run, makes it a version of `name`, and points `alias` at the version.

    description: what MLflow's page of a new version shows, above a link to the run's report.

    A bundle that is registered already keeps its version, so running a release again adds none.
    Raises: RegistryError when the verdict is not an approval or is about another model, when the bundle's
    files changed, or when MLflow refuses.
    """
    deployment = _approved_deployment(bundle, verdict)
    tags = {
        "outcome": verdict.outcome.value,
        "candidate": verdict.candidate.name,
        "model_digest": verdict.digest,
        "bundle_digest": bundle.digest,
        "isa_levels": ",".join(item["isa"] for item in deployment["validated_on"]),
    }
    with connection(tracking_uri) as client:
        ensure_ledger(client, name)
        ensure_registered_model(client, name, _model_description(name, alias))
        version = _registered_before(client, name, bundle)
        if version is None:
            logged = _log_pyfunc(client, run_id, bundle, python_model, deployment, tags)
            # `models:/<id>` would not do: MLflow looks it up at the process-wide tracking URI
            version = client.create_model_version(
                name,
                source=logged.artifact_location,
                run_id=run_id,
                tags=tags,
                model_id=logged.model_id,
                description=f"{description}\n\n{_report_link(client, run_id)}",
            ).version
        _set_alias(client, name, alias, str(version))
    return RegisteredVersion(name=name, version=str(version), alias=alias, uri=f"models:/{name}@{alias}")


def _model_description(name: str, alias: str) -> str:
    """What MLflow's page of the model itself says, in Markdown, above the list of its versions."""
    return (
        "INT8 models for x86 CPUs, made by paddle-int8. A version is here because its release approved it: "
        "its description has the verdict and a link to the report.\n\n"
        f"The alias `{alias}` is the version that was approved last; `paddle-int8 promote` makes it the "
        "champion. To load it: "
        f'`mlflow.pyfunc.load_model("models:/{name}@{alias}")`.'
    )


def _report_link(client: MlflowClient, run_id: str) -> str:
    """A link to the release's report, for MLflow's own pages."""
    experiment = client.get_run(run_id).info.experiment_id
    return f"[The report of its release](#/experiments/{experiment}/runs/{run_id}/artifacts/{REPORT})"


def _registered_before(client: MlflowClient, name: str, bundle: Bundle) -> str | None:
    """The newest version of `name` with this bundle's digest; None when there is none."""
    same = client.search_model_versions(f"name = '{name}' and tag.bundle_digest = '{bundle.digest}'")
    return max((str(version.version) for version in same), key=int, default=None)


def _approved_deployment(bundle: Bundle, verdict: Verdict) -> Registrable:
    """The bundle's `deployment.json`, after checking that the verdict approves exactly its model."""
    if verdict.outcome is not Outcome.APPROVED:
        raise RegistryError(
            found=f"a verdict that says {verdict.outcome} of {verdict.candidate.name}",
            required="an approved candidate",
            remedy="see the criteria in the report; a candidate that fails them is logged, never registered",
        )
    try:
        deployment: Registrable = json.loads((bundle.folder / "deployment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RegistryError(
            found=f"{bundle.folder}: {error}",
            required="a bundle with a readable deployment.json",
            remedy="run the release again to build the bundle anew",
        ) from error
    if deployment.get("digest") != verdict.digest:
        raise RegistryError(
            found=f"a bundle of model {deployment.get('digest')}",
            required=f"the model that was judged, {verdict.digest}",
            remedy="run the release again; do not change a bundle by hand",
        )
    if folder_digest(bundle.folder) != bundle.digest:
        raise RegistryError(
            found=f"files in {bundle.folder} that changed since the bundle was written",
            required=f"a bundle of digest {bundle.digest}",
            remedy="run the release again to build the bundle anew",
        )
    return deployment


def _log_pyfunc(
    client: MlflowClient,
    run_id: str,
    bundle: Bundle,
    python_model: Path,
    deployment: Registrable,
    tags: dict[str, str],
) -> LoggedModel:
    """Does what `mlflow.pyfunc.log_model` does, without the process-wide active run that it needs."""
    import mlflow.pyfunc
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model

    experiment_id = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment_id, name="bundle", source_run_id=run_id, tags=tags)
    status = LoggedModelStatus.FAILED
    try:
        with tempfile.TemporaryDirectory(prefix=temporary.prefix()) as folder:
            path = Path(folder) / "model"
            # MLflow warns about missing type hints, which the signature replaces, and about a missing input
            # example, with which it would run the model in this process. It resets the filters of warnings,
            # so only recording keeps them quiet.
            with warnings.catch_warnings(record=True, action="ignore"):
                mlflow.pyfunc.save_model(
                    path=str(path),
                    python_model=str(python_model),
                    artifacts={"bundle": bundle.folder.absolute().as_uri()},  # MLflow parses it as a URI
                    pip_requirements=deployment["requirements"],
                    signature=signature(deployment),
                    mlflow_model=Model(
                        artifact_path=logged.artifact_location,
                        run_id=run_id,
                        model_uuid=logged.model_id,
                        model_id=logged.model_id,
                    ),
                )
            client.log_model_artifacts(logged.model_id, str(path))
        status = LoggedModelStatus.READY
    finally:
        client.finalize_logged_model(logged.model_id, status)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return logged


def signature(deployment: Registrable) -> ModelSignature:
    """The model's signature: the bundle's inputs and outputs, with -1 for free dimensions.

    A sequence input `x` is two tensors, as MLflow's are rectangular: `x` [N, longest, ...], `x.lengths` [N].
    """
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def tensors(spec: Described) -> list[TensorSpec]:
        shape = (-1, *spec["shape"]) if spec.get("sequence") else tuple(spec["shape"])
        return [TensorSpec(np.dtype(spec["dtype"]), shape, spec["name"])]

    def lengths(spec: Described) -> list[TensorSpec]:
        return [TensorSpec(np.dtype("int64"), (-1,), spec["name"] + LENGTHS)] if spec.get("sequence") else []

    inputs, outputs = deployment["inputs"], deployment["outputs"]
    return ModelSignature(
        inputs=Schema([tensor for spec in inputs for tensor in (*tensors(spec), *lengths(spec))]),
        outputs=Schema([tensor for spec in outputs for tensor in tensors(spec)]),
    )


def ensure_ledger(client: MlflowClient, name: str) -> str:
    """Creates the registered model that holds the decisions on `name`, unless it exists; returns its name.

    Call it before `name` itself is created. MLflow lets every user create a model and makes its creator the
    owner, so a user who sees a model without a ledger could become the owner of its decisions.
    """
    ledger = name + PROMOTIONS
    ensure_registered_model(client, ledger, f"Decisions on {name}, one a version.")
    return ledger


def ensure_registered_model(client: MlflowClient, name: str, description: str | None = None) -> None:
    """Creates the registered model unless it exists."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _set_alias(client: MlflowClient, name: str, alias: str, version: str) -> None:
    """Sets the alias, twice if need be: when two releases set a new alias at once, MLflow refuses one."""
    from mlflow.exceptions import MlflowException

    try:
        client.set_registered_model_alias(name, alias, version)
    except MlflowException:
        client.set_registered_model_alias(name, alias, version)
