"""The request for one candidate: what its algorithm's record says, put into the engine's terms."""

from __future__ import annotations

from pathlib import Path

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate, DatasetArtifact, ModelArtifact
from paddle_int8.tasks.engines.paddle.quantization.ptq import PtqRequest
from paddle_int8.tasks.layouts import LAYOUTS


def ptq_request(
    *,
    model: ModelArtifact,
    calibration: DatasetArtifact,
    candidate: Candidate,
    config: QuantizationConfig,
    batch_size: int,
    folder: Path,
    learned: dict[str, float] | None = None,
) -> PtqRequest:
    """The request for one candidate. Raises: ConfigError when its algorithm is unknown."""
    algorithm = ALGORITHMS.find(candidate.algorithm)
    return PtqRequest(
        model=model,
        calibration=calibration,
        candidate=candidate,
        config=config,
        batch_size=batch_size,
        folder=folder,
        form=LAYOUTS.find(candidate.layout).form,
        slim=algorithm.slim,
        histogram=algorithm.histogram,
        magnitudes=algorithm.magnitudes,
        prepare=algorithm.prepare,
        trained=algorithm.needs_training,
        learned=learned or {},
    )
