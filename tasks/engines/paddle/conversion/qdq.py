"""Packs a QDQ model, which Paddle Inference itself turns into INT8 when it loads it.

`convert_qdq` runs in the isolated process; importing this module does not load Paddle.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.paddle.blocks import overwrite, position, value
from paddle_int8.tasks.engines.paddle.census import QUANTIZABLE
from paddle_int8.tasks.engines.paddle.conversion.converted import CAST
from paddle_int8.tasks.engines.paddle.conversion.data_movement import (
    DATA_MOVEMENT,
    keep_data_movement_fp32,
)
from paddle_int8.tasks.engines.paddle.conversion.integer_weights import INTEGERS, store_integer_weights
from paddle_int8.tasks.engines.paddle.conversion.kept_products import HIDDEN_PRODUCTS, hide_kept_products
from paddle_int8.tasks.engines.paddle.conversion.mixed_signs import MIXED_PRODUCTS, hide_rectified_products
from paddle_int8.tasks.engines.paddle.conversion.parted import (
    PARTED_CONCATENATIONS,
    PARTED_NARROWED,
    PARTED_SATURATED,
    SEPARATED_SUMS,
    STRAIGHTENED,
    part_concatenations,
    part_narrowed,
    part_saturated_quantized,
    separate_uncalibrated_sums,
    straighten_convolved,
)
from paddle_int8.tasks.engines.paddle.conversion.recorded_scales import (
    activation_scales,
    record_scales,
    weight_scales,
)
from paddle_int8.tasks.engines.paddle.conversion.signed_residuals import S8_MAX, widen_signed_residual_sums
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import MODEL_FILENAME, PARAMS_FILENAME, ModelSource
from paddle_int8.tasks.engines.paddle.form import Form
from paddle_int8.tasks.engines.paddle.form_errors import require_convertible
from paddle_int8.tasks.engines.paddle.private.operators import remove_operator, rename_input
from paddle_int8.tasks.engines.paddle.private.variables import remove_variable, set_data_type

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

SQUARE_WEIGHTS = "dequantize_square_weights"
SIGNED_RESIDUALS = "widen_signed_residual_sums"
WEIGHT_SCALES = "record_scales"

logger = logging.getLogger(__name__)


def convert_qdq(
    source: ModelSource,
    folder: Path,
    *,
    model_filename: str = MODEL_FILENAME,
    params_filename: str = PARAMS_FILENAME,
) -> ConvertedModel:
    """Writes the QDQ model `source` into `folder`, ready for the predictor.

    The result may have no compute operator with quantized input; `require_int8` checks it.
    Raises: ModelFormatError for files that cannot be used, ConversionError for a model of another form.
    """
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program
    from paddle_int8.tasks.engines.paddle.rewrites.float_types import cast_to_fp32

    require_convertible(source, (Form.QDQ,))
    loaded = load_program(source, quantized=True)
    cast = cast_to_fp32(loaded)
    operators = loaded.program.global_block().ops
    int8_ops = dict(sorted(_reading_quantized(operators).items()))
    integers = store_integer_weights(loaded)
    weights = weight_scales(loaded)  # before square weights lose their scales
    scales = activation_scales(loaded)
    repairs = {
        CAST: cast,
        INTEGERS: integers,
        SQUARE_WEIGHTS: dequantize_square_weights(loaded),
        SEPARATED_SUMS: separate_uncalibrated_sums(loaded.program, scales),
        DATA_MOVEMENT: keep_data_movement_fp32(loaded.program, scales, fused=False),
        PARTED_NARROWED: part_narrowed(loaded.program),
        PARTED_CONCATENATIONS: part_concatenations(loaded.program, scales),
        PARTED_SATURATED: part_saturated_quantized(loaded.program),
        STRAIGHTENED: straighten_convolved(loaded.program),
        HIDDEN_PRODUCTS: hide_kept_products(loaded.program),
        MIXED_PRODUCTS: hide_rectified_products(loaded.program),
        SIGNED_RESIDUALS: widen_signed_residual_sums(loaded),
        WEIGHT_SCALES: record_scales(loaded, weights),
    }
    save_program(loaded, folder, model_filename=model_filename, params_filename=params_filename)
    logger.info("operators with quantized input: %s; repairs: %s", int8_ops, repairs)
    return ConvertedModel(
        folder=folder,
        layout="qdq",
        digest=program_digest(folder, model_filename, params_filename),
        int8_ops=int8_ops,
        repairs=repairs,
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()),
    )


def dequantize_square_weights(loaded: LoadedProgram) -> int:
    """Stores in FP32 the weights whose scales the predictor would apply along the wrong axis.

    At load `quant_dequant_mkldnn_pass` guesses the axis from the number of scales and takes 0 when it
    fits, which is wrong for a square weight of a fully connected layer (4096 x 4096 in VGG16, 768 x 768
    in ERNIE). The predictor quantizes an FP32 weight itself, so that the kernel stays INT8 and only the
    file grows.
    Returns how many weights there were.
    """
    import numpy
    import paddle

    block, count = loaded.program.global_block(), 0
    for op in [op for op in block.ops if op.type == "dequantize_linear"]:
        name, axis = op.input("X")[0], op.attr("quant_axis")
        stored = loaded.scope.find_var(name)
        if axis < 1 or stored is None or not block.var(name).persistable:
            continue
        weight = value(loaded, name)
        scales = value(loaded, op.input("Scale")[0])
        if scales.size == 1 or scales.size != weight.shape[0]:
            continue
        along = [1] * weight.ndim
        along[axis] = scales.size
        restored = weight / S8_MAX * scales.reshape(along)
        overwrite(loaded, name, restored.astype(numpy.float32))
        set_data_type(block.var(name), paddle.float32)
        _read_directly(block, op)
        count += 1
    return count


def _read_directly(block: Block, dequantize: Operator) -> None:
    """Removes `dequantize`, and makes the operators that read its output read its input."""
    source, target = dequantize.input("X")[0], dequantize.output("Y")[0]
    for op in block.ops:
        if target in op.input_arg_names:
            rename_input(op, target, source)
    remove_operator(block, position(block, dequantize))
    remove_variable(block, target)


def _reading_quantized(operators: list[Operator]) -> Counter[str]:
    dequantized = {name for op in operators if op.type == "dequantize_linear" for name in op.output_arg_names}
    return Counter(
        op.type for op in operators if op.type in QUANTIZABLE and dequantized.intersection(op.input_arg_names)
    )
