"""Post-training quantization as a Prefect task."""

from __future__ import annotations

import os

from tasks.artifacts import Candidate, DatasetArtifact, Layout, ModelArtifact, QuantizedArtifact
from tasks.config import QuantizationConfig
from tasks.host_lock import computing
from tasks.process import run_isolated
from tasks.quantization.deferred import defer_quantization
from tasks.quantization.ptq import PtqRequest
from tasks.quantization.ptq import quantize as quantize_model
from tasks.settings import Settings
from tasks.store import commit, scratch
from tasks.task import CACHED, stage, step, step_log


@step(name="quantize", task_run_name="quantize {candidate.name}", **CACHED)
def quantize(
    model: ModelArtifact,
    calibration: DatasetArtifact,
    candidate: Candidate,
    config: QuantizationConfig,
    batch_size: int,
) -> QuantizedArtifact:
    """One candidate: calibrated with its algorithm, in the format that its layout needs.

    Raises: QuantizationError with PaddleSlim's first message.
    """
    settings, name = Settings(), f"quantize {candidate.name}"
    log = step_log(f"quantize-{candidate.name}")
    threads = max(1, len(os.sched_getaffinity(0)) // settings.parallel_candidates)
    with stage(name) as summary, scratch(settings.store, "quantized") as folder, computing():
        outcome = run_isolated(
            defer_quantization if candidate.layout is Layout.QUANTIZER else quantize_model,
            PtqRequest(
                model=model,
                calibration=calibration,
                candidate=candidate,
                config=config,
                batch_size=batch_size,
                folder=folder,
            ),
            step=name,
            log=log,
            timeout_s=config.timeout_s,
            environment={"OMP_NUM_THREADS": str(threads)},
        )
        summary.append(f"{outcome.tensors_calibrated} tensors calibrated")
        return QuantizedArtifact(
            candidate=candidate,
            folder=commit(folder, settings.store, "quantized", outcome.digest),
            digest=outcome.digest,
            quantized_ops=outcome.quantized_ops,
            tensors_calibrated=outcome.tensors_calibrated,
            seconds=outcome.seconds,
            peak_memory_bytes=outcome.peak_memory_bytes,
            log=log,
        )
