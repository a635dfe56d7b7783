"""Which fields of the section `quantization` one candidate is made with."""

from __future__ import annotations

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.vocabulary import QuantizedForm
from paddle_int8.tasks.layouts import LAYOUTS

CHOICES = frozenset({"algorithms", "layouts", "qat"})
"""These make the list of candidates, and are nothing to any one of them."""
OF_SOME_ALGORITHM = frozenset({"hist_percent"})
OF_WEIGHTS = frozenset({"round_type", "bias_correction"})
OF_SLIM = OF_WEIGHTS | {"op_types", "skip_tensors", "keep_fp32", "weight_quantize_type", "fast_calibration"}


def own_section(config: QuantizationConfig, candidate: Candidate) -> QuantizationConfig:
    """`config` with every field at its default that the candidate is not made with.

    So whatever else two releases make, the section of one candidate is the same in both.
    """
    unread = _unread(candidate)
    return QuantizationConfig(**{name: value for name, value in config if name not in unread})


def _unread(candidate: Candidate) -> frozenset[str]:
    algorithm = ALGORITHMS.find(candidate.algorithm)
    unread = CHOICES | (OF_SOME_ALGORITHM - algorithm.reads)
    if algorithm.needs_training:  # trained weights are rounded as they were in the training
        unread |= OF_WEIGHTS
    if LAYOUTS.find(candidate.layout).form is QuantizedForm.FP32:  # which PaddleSlim has no part in
        unread |= OF_SLIM
    return unread
