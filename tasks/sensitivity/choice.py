"""Which candidate of a release stands for all of them when operators are measured one by one."""

from __future__ import annotations

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.vocabulary import QuantizedForm
from paddle_int8.tasks.layouts import LAYOUTS


def simulated_candidate(config: QuantizationConfig) -> Candidate:
    """The first candidate that is calibrated, and that PaddleSlim quantizes operator by operator.

    Raises: ConfigError when there is none.
    """
    for candidate in config.candidates():
        trained = ALGORITHMS.find(candidate.algorithm).needs_training
        if not trained and LAYOUTS.find(candidate.layout).form is not QuantizedForm.FP32:
            return candidate
    raise ConfigError(
        found=f"the candidates {', '.join(each.name for each in config.candidates())}",
        required="a candidate whose operators are calibrated one by one",
        remedy="add `hist` to `quantization.algorithms`, and `offline` or `qdq` to `quantization.layouts`",
    )
