"""Which fields of the section `quantization` one candidate is made with."""

from __future__ import annotations

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.vocabulary import QuantizedForm
from paddle_int8.tasks.layouts import LAYOUTS

CHOICES = frozenset({"algorithms", "layouts", "qat", "strategy", "search"})
"""Fields that decide which candidates there are, and nothing about any one of them."""
READ_BY_SOME_ALGORITHMS = frozenset({"hist_percent", "smooth_alpha"})
ROUNDING_OF_WEIGHTS = frozenset({"round_type", "bias_correction"})
READ_BY_SLIM = ROUNDING_OF_WEIGHTS | {
    "op_types",
    "skip_tensors",
    "keep_fp32",
    "weight_quantize_type",
    "fast_calibration",
}


def own_section(config: QuantizationConfig, candidate: Candidate) -> QuantizationConfig:
    """`config`, in which every field that the candidate is not made with has its default.

    So the section of one candidate is the same in two releases, whatever else they make. What its algorithm
    sets counts before what stands in `config`.
    """
    unread = _unread(candidate)
    read = {name: value for name, value in config if name not in unread}
    return QuantizationConfig(**{**read, **ALGORITHMS.find(candidate.algorithm).sets})


def _unread(candidate: Candidate) -> frozenset[str]:
    algorithm = ALGORITHMS.find(candidate.algorithm)
    unread = CHOICES | (READ_BY_SOME_ALGORITHMS - algorithm.reads)
    if algorithm.needs_training:  # trained weights are rounded as they were in the training
        unread |= ROUNDING_OF_WEIGHTS
    if LAYOUTS.find(candidate.layout).form is QuantizedForm.FP32:  # PaddleSlim has no part in this form
        unread |= READ_BY_SLIM
    return unread
