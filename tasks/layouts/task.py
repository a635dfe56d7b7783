"""Conversion and packing by the rules of a candidate's layout, as Prefect tasks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from pydantic import JsonValue

from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.quantization import ConversionConfig
from paddle_int8.tasks.config.release import ServingConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import (
    Bundle,
    DeployableArtifact,
    ModelArtifact,
    QuantizedArtifact,
)
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.contracts.keys import Chosen, named
from paddle_int8.tasks.engines import ENGINES
from paddle_int8.tasks.engines.engine import BundleRequest
from paddle_int8.tasks.engines.paddle.given.as_it_is import take_as_it_is
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts.code import chosen_conversion
from paddle_int8.tasks.layouts.layout import ConversionRequest
from paddle_int8.tasks.process.host_lock import computing
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.steps.step import cached, stage, step, step_log
from paddle_int8.tasks.store.folder import commit, scratch


def _chosen(parameters: Mapping[str, JsonValue]) -> Chosen:
    return chosen_conversion(named(parameters, "quantized", "candidate", "layout"))


@step(
    name="convert",
    task_run_name="convert {quantized.candidate.name}",
    **cached(take_as_it_is, chosen=_chosen),
)
def convert(quantized: QuantizedArtifact, config: ConversionConfig) -> DeployableArtifact:
    """The quantized model in the layout that its candidate names. One that is in it already is left as it is.

    config: see `own_section`.
    Raises: ConversionError when nothing in the result would run in INT8.
    """
    name, layout = quantized.candidate.name, LAYOUTS.find(quantized.candidate.layout)
    converted_already = quantized.given is not None and quantized.given.converted
    log = step_log(f"convert-{name}")
    with stage(f"convert {name}") as summary, scratch(Settings().store, "deployable") as folder:
        started = time.monotonic()
        request = ConversionRequest(quantized=quantized.folder, folder=folder, config=config)
        make = (
            partial(take_as_it_is, quantized.folder, folder, layout.name)
            if converted_already
            else partial(layout.convert, request)
        )
        with computing():
            converted = run_isolated(make, step=f"convert {name}", log=log, timeout_s=config.timeout_s)
        summary.append(", ".join(f"{count} {op}" for op, count in sorted(converted.int8_ops.items())))
        return DeployableArtifact(
            candidate=quantized.candidate,
            folder=commit(folder, Settings().store, "deployable", converted.digest),
            digest=converted.digest,
            size_bytes=converted.size_bytes,
            int8_ops=converted.int8_ops,
            seconds=time.monotonic() - started,
            log=log,
            quantized=quantized.folder if layout.simulated and not converted_already else None,
        )


@step(name="pack bundle")
def pack_bundle(
    deployable: DeployableArtifact,
    model: ModelArtifact,
    evidence: CandidateEvidence,
    preprocessing: Preprocessing,
    threads: int,
    serving: ServingConfig,
) -> Bundle:
    """The bundle of the chosen candidate, in the store."""
    layout = LAYOUTS.find(deployable.candidate.layout)
    with stage("pack bundle", here=True) as summary, scratch(Settings().store, "bundle") as folder:
        request = BundleRequest(
            folder=folder,
            deployable=deployable,
            model=model,
            evidence=evidence,
            preprocessing=preprocessing,
            threads=threads,
            switches=layout.switches_for(deployable.candidate),
            strict=serving.strict,
        )
        bundle = ENGINES.find(layout.engine).write_bundle(request)
        summary.append(f"{bundle.size_bytes / 2**20:.1f} MiB")
        return replace(bundle, folder=commit(folder, Settings().store, "bundles", bundle.digest))
