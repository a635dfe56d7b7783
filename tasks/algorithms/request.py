"""The request for one candidate: what its algorithm's record says, put into the engine's terms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.algorithms.algorithm import Algorithm
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    DatasetArtifact,
    ModelArtifact,
    ObservedArtifact,
)
from paddle_int8.tasks.contracts.vocabulary import Observed, QuantizedForm
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
    observations: Sequence[ObservedArtifact] = (),
) -> PtqRequest:
    """The request for one candidate. Raises: ConfigError when its algorithm is unknown."""
    algorithm = ALGORITHMS.find(candidate.algorithm)
    rule = ruling(algorithm)
    assert rule.threshold is not None, rule  # see `Algorithm`
    return PtqRequest(
        model=model,
        calibration=calibration,
        candidate=candidate,
        config=config,
        batch_size=batch_size,
        folder=folder,
        form=LAYOUTS.find(candidate.layout).form,
        slim=None if algorithm.histogram else algorithm.slim,
        threshold=rule.threshold,
        observes=rule.observes,
        observations=tuple(each.folder for each in observations),
        histogram=algorithm.histogram,
        magnitudes=algorithm.magnitudes,
        prepare=algorithm.prepare,
        trained=algorithm.needs_training,
        learned=learned or {},
    )


def ruling(algorithm: Algorithm) -> Algorithm:
    """The algorithm whose rule finds the thresholds: itself, or the one that it names in `slim`."""
    if algorithm.threshold is not None or algorithm.slim is None:
        return algorithm
    return ALGORITHMS.find(algorithm.slim)


def observed_for(
    candidate: Candidate, config: QuantizationConfig
) -> tuple[tuple[Observed, QuantizedForm], ...]:
    """The calibrations that a candidate shares with others: what each observes, and for which form.

    There are none for a candidate of a changed model or of one that stays FP32, nor for slow calibration.
    The magnitudes are the same for every form.
    """
    algorithm, form = ALGORITHMS.find(candidate.algorithm), LAYOUTS.find(candidate.layout).form
    if not algorithm.of_fp32 or form is QuantizedForm.FP32 or not config.fast_calibration:
        return ()
    return tuple(
        (kind, QuantizedForm.FP32 if kind is Observed.MAGNITUDES else form)
        for kind in sorted(ruling(algorithm).observes)
    )
