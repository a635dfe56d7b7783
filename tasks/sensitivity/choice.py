"""Which candidate of a release is measured operator by operator."""

from __future__ import annotations

from collections.abc import Sequence

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.verdict import Judged
from paddle_int8.tasks.contracts.vocabulary import QuantizedForm
from paddle_int8.tasks.layouts import LAYOUTS


def can_be_simulated(candidate: Candidate) -> bool:
    """Whether PaddleSlim quantized it operator by operator here, so that each can be quantized alone."""
    return not candidate.given and LAYOUTS.find(candidate.layout).form is not QuantizedForm.FP32


def simulated_candidate(config: QuantizationConfig) -> Candidate:
    """The first candidate that needs no training, and that PaddleSlim quantizes operator by operator.

    Raises: ConfigError when there is none.
    """
    for candidate in config.candidates():
        if can_be_simulated(candidate) and not ALGORITHMS.find(candidate.algorithm).needs_training:
            return candidate
    raise ConfigError(
        found=f"the candidates {', '.join(each.name for each in config.candidates())}",
        required="a candidate whose operators are calibrated one by one",
        remedy="add `hist` to `quantization.algorithms`, and `offline` or `qdq` to `quantization.layouts`",
    )


def most_promising(judged: Sequence[Judged]) -> Judged | None:
    """The candidate that is nearest to FP32 among those whose operators can be quantized one by one.

    It is the one whose worst metric drops least; among equals the one with more signal in its outputs, and
    then the faster one. Returns None when there is none.
    """
    return min((each for each in judged if can_be_simulated(each.candidate)), key=_distance, default=None)


def _distance(judged: Judged) -> tuple[float, float, float, str]:
    evidence = judged.evidence
    drops = [metric.drop_pp for item in evidence.per_isa for metric in item.metrics]
    return (
        max(drops, default=0.0),
        -min(item.sqnr_db for item in evidence.per_isa),
        -evidence.per_isa[0].latency.speedup.ratio,
        evidence.candidate.name,
    )
