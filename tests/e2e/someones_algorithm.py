"""An algorithm of another package: it makes the weights of a layer larger, and those of the next one smaller.

Between two layers with a ReLU factors of two change nothing in FP32, not even a rounding.
"""

from __future__ import annotations

from typing import Any

from paddle_int8.tasks.algorithms.algorithm import Algorithm, PrepareRequest
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.engines.paddle.files import find_model

FACTOR = 4.0


def rescale(request: PrepareRequest) -> None:
    """Runs in the isolated process."""
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    loaded = load_program(find_model(ModelFiles(path=request.model)))
    operators = loaded.program.global_block().ops
    convolution = [op for op in operators if op.type == "conv2d"][-1]
    (bias,) = [op for op in operators if op.input_arg_names[:1] == convolution.output("Output")]
    product = next(op for op in operators if op.type in ("matmul_v2", "mul"))
    for name, factor in (
        (convolution.input("Filter")[0], FACTOR),
        (bias.input("Y")[0], FACTOR),
        (product.input("Y")[0], 1 / FACTOR),
    ):
        _multiply(loaded.scope.find_var(name).get_tensor(), factor)
    save_program(loaded, request.folder)


def _multiply(tensor: Any, factor: float) -> None:
    import numpy as np
    import paddle

    tensor.set(np.array(tensor) * np.float32(factor), paddle.CPUPlace())


ALGORITHM = Algorithm(
    name="rescaled",
    description="The weights of the last convolution are made four times as large before they are quantized.",
    slim="abs_max",
    prepare=rescale,
)
