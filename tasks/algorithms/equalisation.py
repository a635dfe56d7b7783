"""The algorithm `equalisation`: the ranges of channels are made alike before the model is quantized.

The thresholds are then those of `hist`: after it the channels of a tensor are alike, so that the few values
beyond a high quantile are outliers, and no channel lives above the threshold.
"""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm, PrepareRequest
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.engines.paddle.files import find_model


def equalised(request: PrepareRequest) -> None:
    """Writes the model with its batch norms folded and its layers equalised. Runs in the isolated process."""
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program
    from paddle_int8.tasks.engines.paddle.rewrites.batch_norms import fold_batch_norms
    from paddle_int8.tasks.engines.paddle.rewrites.equalisation import equalise

    loaded = load_program(find_model(ModelFiles(path=request.model)))
    fold_batch_norms(loaded)
    equalise(loaded)
    save_program(loaded, request.folder)


ALGORITHM = Algorithm(
    name="equalisation",
    description="Factors are moved from each layer into the next one where a ReLU or nothing stands between, "
    "so that the channels have like ranges. FP32 stays as it is; the thresholds are those of `hist`. "
    "It helps where some channels are much larger than others.",
    slim="hist",
    prepare=equalised,
    reads=frozenset({"hist_percent"}),
)
