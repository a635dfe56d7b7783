"""The algorithm `smooth`: outliers of activations are moved into weights before the model is quantized.

The thresholds are then the greatest magnitudes, as in the paper: what is left of the outliers carries much of
a transformer's signal, and a clipped one costs more than a coarser step.
"""

from __future__ import annotations

from paddle_int8.tasks.algorithms.algorithm import Algorithm, PrepareRequest
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.engines.paddle.files import find_model


def smoothed(request: PrepareRequest) -> None:
    """Writes the model with the outliers behind its layer norms in weights. Runs in the isolated process."""
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program
    from paddle_int8.tasks.engines.paddle.rewrites.smoothing import smooth

    loaded = load_program(find_model(ModelFiles(path=request.model)))
    batches = BatchReader(request.calibration, request.inputs).batches(request.batch_size)
    smooth(loaded, batches, alpha=request.config.smooth_alpha)
    save_program(loaded, request.folder)


ALGORITHM = Algorithm(
    name="smooth",
    description="Behind each layer norm, channels are divided by factors, which are larger where outliers "
    "are, and the weights that read them are multiplied by the same factors. FP32 stays as it is; the "
    "thresholds are those of `abs_max`. It is for transformers.",
    slim="abs_max",
    prepare=smoothed,
    reads=frozenset({"smooth_alpha"}),
)
