"""A registry with small real bundles, which are registered as a release registers them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.contracts.artifacts import Bundle, HostProfile, RegisteredVersion
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.verdict import Verdict
from paddle_int8.tasks.engines.engine import BundleRequest
from paddle_int8.tasks.engines.paddle.bundle import write_bundle
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.tracking import registry, runs
from tests.integration.small_release import SmallRelease, measured
from tests.release_factory import build_artifacts, build_config

LENIENT = GateConfig(max_drop_pp=60, min_speedup=0.01, min_int8_share=0.1)
"""Fifty samples and a network without training: what is tested is the registry, not the gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A bundle with the evidence and the verdict that it was packed on."""

    bundle: Bundle
    evidence: CandidateEvidence
    verdict: Verdict


def pack(release: SmallRelease, layout: str, host: HostProfile, folder: Path, **changes: Any) -> Packed:
    """The layout's deployable, packed in `folder/bundle`, and measured on this host: see `measured`."""
    folder.mkdir(parents=True)
    deployable = release.deployables[layout]
    evidence = CandidateEvidence(
        candidate=deployable.candidate,
        digest=deployable.digest,
        size_bytes=deployable.size_bytes,
        baseline_digest=release.model.digest,
        baseline_size_bytes=release.model.size_bytes,
        validation_digest=release.validation.digest,
        host=host,
        per_isa=(measured(release, layout, folder, isa=host.isa, **changes),),
    )
    bundle = write(release, evidence, folder / "bundle")
    return Packed(bundle=bundle, evidence=evidence, verdict=judge(evidence, LENIENT))


def write(release: SmallRelease, evidence: CandidateEvidence, folder: Path, *, threads: int = 1) -> Bundle:
    """The bundle of the evidence's candidate."""
    deployable = release.deployables[evidence.candidate.layout]
    request = BundleRequest(
        folder=folder,
        deployable=deployable,
        model=release.model,
        evidence=evidence,
        preprocessing=Preprocessing(layout="as_is", dtype="as_is"),
        threads=threads,
        switches=LAYOUTS.find(deployable.candidate.layout).switches,
    )
    return write_bundle(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryGround:
    """An MLflow with what its releases are made of. `folder` is for what they log."""

    uri: str
    release: SmallRelease
    packed: dict[str, Packed]
    folder: Path

    def register(
        self,
        name: str,
        layout: str,
        *,
        verdict: Verdict | None = None,
        validation: str = "",
        threads: int = 1,
    ) -> RegisteredVersion:
        """A new version of `name`, with its runs. `verdict` is what the run logs, if not the true one;
        `validation` is the digest that its evidence names, if not the true one. Another number of
        `threads` makes another bundle of the same model."""
        packed = self.packed[layout]
        if threads > 1:
            folder = self.folder / f"{name}-{threads}"
            packed = replace(packed, bundle=write(self.release, packed.evidence, folder, threads=threads))
        evidence = replace(packed.evidence, validation_digest=validation or packed.evidence.validation_digest)
        config = build_config(name)
        run_id = runs.start_release(self.uri, config)
        runs.log_dataset(self.uri, run_id, self.release.validation, "validation")
        quantized, deployable = build_artifacts(self.folder, evidence.candidate)
        runs.log_candidate(
            self.uri,
            run_id,
            evidence=evidence,
            verdict=verdict or packed.verdict,
            quantized=quantized,
            deployable=deployable,
            settings=config.quantization,
        )
        return registry.register(
            self.uri,
            run_id,
            packed.bundle,
            name=name,
            alias="challenger",
            verdict=packed.verdict,
            description="",
        )
