"""Packing the chosen candidate as a Prefect task."""

from __future__ import annotations

from dataclasses import replace

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import Bundle, DeployableArtifact, ModelArtifact
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.engines.paddle.bundle import write_bundle
from paddle_int8.tasks.steps.step import stage, step
from paddle_int8.tasks.store.folder import commit, scratch


@step(name="pack bundle")
def pack_bundle(
    deployable: DeployableArtifact,
    model: ModelArtifact,
    evidence: CandidateEvidence,
    preprocessing: Preprocessing,
    threads: int,
) -> Bundle:
    """What serving needs of the chosen candidate, in the store."""
    with stage("pack bundle", here=True) as summary, scratch(Settings().store, "bundle") as folder:
        bundle = write_bundle(
            folder,
            deployable=deployable,
            model=model,
            evidence=evidence,
            preprocessing=preprocessing,
            threads=threads,
        )
        summary.append(f"{bundle.size_bytes / 2**20:.1f} MiB")
        return replace(bundle, folder=commit(folder, Settings().store, "bundles", bundle.digest))
