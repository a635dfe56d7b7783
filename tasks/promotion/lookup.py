"""Reads a registered version from MLflow: its bundle, and its release's verdict, evidence and scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from paddle_int8.tasks.contracts.artifacts import DatasetArtifact
from paddle_int8.tasks.contracts.errors import RegistryError, StorageError
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.json import from_json
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.verdict import Verdict
from paddle_int8.tasks.engines.bundle import DEPLOYMENT
from paddle_int8.tasks.layouts.bundled import engine_of
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.promotion.judgement import Challenger
from paddle_int8.tasks.promotion.ledger import alias_version, find_version
from paddle_int8.tasks.store import sharing
from paddle_int8.tasks.store.folder import folder_digest
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.tracking.download import download, folders, repository

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

T = TypeVar("T")

BUNDLES = "artifacts"
"""The folder in which MLflow keeps the artifacts of a pyfunc model."""
EVIDENCE, VERDICT, OUTCOMES = "evidence.json", "verdict.json", "outcomes"
VALIDATION = "validation.json"
BYTECODE = "__pycache__"
"""The folder that Python makes beside a module that it has imported. No bundle is written with one."""
DIGEST_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A registered version whose files were downloaded.

    `run` is the folder of its candidate's `evidence.json`, `verdict.json` and `outcomes/<isa>.npz`, as far as
    its release logged them.
    """

    challenger: Challenger
    bundle: Path
    run: Path
    run_id: str


def resolve(tracking_uri: str, name: str, *, version: int | None, alias: str) -> str | None:
    """The number of the version asked for, or of the one that `alias` points at; None when there is none.

    Raises: RegistryError when MLflow refuses.
    """
    with connection(tracking_uri) as client:
        if version is not None:
            return str(version) if find_version(client, name, str(version)) else None
        return alias_version(client, name, alias)


def fetch(tracking_uri: str, name: str, version: str, folder: Path, *, log: Path) -> Registered:
    """Downloads the version's files to the new folder `folder` and computes their digests.

    `log` receives what isolated processes print.
    Raises: RegistryError when there is no such version, it holds no bundle, or a file is refused;
    ModelFormatError when the bundle's model is damaged.
    """
    bundle, run = folder / "bundle", folder / "run"
    run.mkdir(parents=True)
    with connection(tracking_uri) as client:
        found = find_version(client, name, version)
        if found is None:
            raise _no_version(name, version)
        fetch_bundle(client, tracking_uri, found, bundle)
        _fetch_run(client, tracking_uri, found, run)
        tags, run_id = dict(found.tags), found.run_id or ""
    model_digest = run_isolated(
        engine_of(bundle).digest, bundle, step="digest", log=log, timeout_s=DIGEST_TIMEOUT_S
    )
    challenger = Challenger(
        name=name,
        version=version,
        registered_bundle_digest=tags.get("bundle_digest", ""),
        bundle_digest=folder_digest(bundle),
        registered_model_digest=tags.get("model_digest", ""),
        model_digest=model_digest,
        verdict=_read(run / VERDICT, Verdict),
        evidence=_read(run / EVIDENCE, CandidateEvidence),
    )
    return Registered(challenger=challenger, bundle=bundle, run=run, run_id=run_id)


def fetch_bundle(client: MlflowClient, tracking_uri: str, version: ModelVersion, folder: Path) -> Path:
    """Downloads the version's bundle to the new folder `folder`, without checking its digest.

    A bundle in MLflow's files on this host may hold bytecode: whoever has loaded it from there left it.

    Raises: RegistryError when the version is not a release's bundle, ConfigError when no package here has its
    layout.
    """
    uri = client.get_model_version_download_uri(version.name, str(version.version))
    source = repository(uri, tracking_uri)
    candidates = folders(source, BUNDLES)
    folder.mkdir(parents=True)
    if len(candidates) == 1:
        download(source, candidates[0], folder, wanted=lambda name: BYTECODE not in name.parts)
    _require_files(version, folder, (DEPLOYMENT,))
    _require_files(version, folder, engine_of(folder).bundled)
    return folder


def _require_files(version: ModelVersion, folder: Path, needed: Iterable[str]) -> None:
    if missing := [name for name in needed if not (folder / name).is_file()]:
        raise RegistryError(
            found=f"version {version.version} of {version.name} without {', '.join(missing)}",
            required="the bundle that a release registers",
            remedy="name a version that `paddle-int8 release` registered",
        )


def validation_data(tracking_uri: str, registered: Registered) -> DatasetArtifact | None:
    """The samples that the version was validated on, None when the store does not have them.

    Example: the run of the release has a `validation.json`, which says that samples of digest `3f9a…` lay at
    `/home/a/var/artifacts/data/3f9a…` on the host that drew them. Here they lie at `data/3f9a…` in the store
    of this host; when they do not, they are fetched to there from the shared one.
    """
    logged = _logged_validation(tracking_uri, registered)
    return None if logged is None else _stored_here(logged)


def _logged_validation(tracking_uri: str, registered: Registered) -> DatasetArtifact | None:
    """What the run of the release logged of its validation data, None when it logged nothing."""
    if not registered.run_id:
        return None
    folder = registered.run / "release"
    with connection(tracking_uri) as client:
        uri = client.get_run(registered.run_id).info.artifact_uri
        if uri is None:
            return None
        download(repository(uri, tracking_uri), "", folder, wanted=lambda name: str(name) == VALIDATION)
    return _read(folder / VALIDATION, DatasetArtifact)


def _stored_here(logged: DatasetArtifact) -> DatasetArtifact | None:
    """The same samples in this host's store, None when neither it nor the shared one has them."""
    try:
        stored = replace(logged, folder=StoredPath.located(f"data/{logged.digest[:32]}"))
        sharing.fetch(stored)
    except (ValueError, StorageError):
        return None
    return stored


def _fetch_run(client: MlflowClient, tracking_uri: str, version: ModelVersion, folder: Path) -> None:
    """Downloads the files of the candidate's nested run, if the release's run has one for this model."""
    digest = version.tags.get("model_digest", "")
    if not version.run_id or "'" in digest:
        return
    experiment = client.get_run(version.run_id).info.experiment_id
    runs = client.search_runs(
        [experiment],
        f"tags.mlflow.parentRunId = '{version.run_id}' and tags.digest = '{digest}'",
        max_results=1,
    )
    if not runs or runs[0].info.artifact_uri is None:
        return
    download(repository(runs[0].info.artifact_uri, tracking_uri), "", folder, wanted=_is_evidence)


def _is_evidence(name: PurePosixPath) -> bool:
    return str(name) in (EVIDENCE, VERDICT) or name.parts[0] == OUTCOMES


def _read(path: Path, kind: type[T]) -> T | None:
    """The record that the run logged; None when it is missing or unreadable, so that it proves nothing."""
    try:
        return from_json(kind, path.read_bytes())
    except (OSError, ValidationError):
        return None


def _no_version(name: str, version: str) -> RegistryError:
    return RegistryError(
        found=f"no version {version} of {name} in the registry",
        required="a version that is there",
        remedy="see `paddle-int8 history` and MLflow's Models page for those that are",
    )
