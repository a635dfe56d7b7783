"""Converts a fake-quantized model into the `offline` layout: a program of INT8 operators.

`convert_offline` runs in the isolated process; importing this module does not load Paddle.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.contracts.errors import ConversionError
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS
from paddle_int8.tasks.engines.paddle.conversion.converted import CAST
from paddle_int8.tasks.engines.paddle.conversion.weight_layout import LAID_OUT, lay_out_weights
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import MODEL_FILENAME, PARAMS_FILENAME, ModelSource
from paddle_int8.tasks.engines.paddle.form import Form
from paddle_int8.tasks.engines.paddle.form_errors import require_convertible
from paddle_int8.tasks.engines.paddle.switches import FP32_FC_FUSION, SCORE_SUM_FUSION

CONVOLUTION = CONVOLUTIONS | {"fused_conv2d"}
PRODUCT = frozenset({"fc", "matmul", "matmul_v2", "fused_matmul"})
OPS_TO_QUANTIZE = {
    **dict.fromkeys(CONVOLUTION, CONVOLUTION),
    "fc": PRODUCT,
    "mul": PRODUCT,
    "matmul": PRODUCT,
    "matmul_v2": PRODUCT,
    "fused_matmul": PRODUCT,
    "transpose2": frozenset({"transpose2", "fused_transpose"}),
    "elementwise_add": frozenset({"elementwise_add", "fused_elementwise_add"}),
    "elementwise_mul": frozenset({"elementwise_mul", "fused_elementwise_mul"}),
    "elementwise_sub": frozenset({"elementwise_sub", "fused_elementwise_sub"}),
    **{
        name: frozenset({name})
        for name in (
            "concat",
            "fusion_gru",
            "fusion_lstm",
            "multi_gru",
            "nearest_interp",
            "nearest_interp_v2",
            "pool2d",
            "prior_box",
            "reshape2",
            "slice",
            "split",
        )
    },
}
"""For each name that a user gives an operator, the names that it has after Paddle's fusions."""
DEBUG_FOLDER = "debug"
FULL_BITS = 8

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineRepairs:
    """The repairs of Paddle's conversion. They are turned off only to prove that the gate sees the defect.

    fused_conv: quantize what Paddle's fusion renamed to `fused_conv2d`; without it no convolution is INT8.
    keep_fp32_params: skip `params_quantization_mkldnn_pass`, whose biases oneDNN 3 applies differently.
    keep_fc: skip `repeated_fc_relu_fuse_pass`, which makes FC layers unquantizable.
    keep_score_sums: skip `matmul_elementwise_add_mkldnn_fuse_pass`, whose INT8 kernel adds unset memory.
    weight_layout: give each weight oneDNN's memory layout at load instead of at every inference.
    """

    fused_conv: bool = True
    keep_fp32_params: bool = True
    keep_fc: bool = True
    keep_score_sums: bool = True
    weight_layout: bool = True

    def skipped_passes(self) -> frozenset[str]:
        skipped = set()
        if self.keep_fp32_params:
            skipped.add("params_quantization_mkldnn_pass")
        if self.keep_fc:
            skipped.add(FP32_FC_FUSION)
        if self.keep_score_sums:
            skipped.add(SCORE_SUM_FUSION)
        return frozenset(skipped)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineRequest:
    """A fake-quantized model, where its INT8 form goes, and the published script's options.

    bits: those of weights, and of the second factor of a product of two activations, 2 to 8.
    layout: the name of the layout that comes out.
    """

    source: ModelSource
    folder: Path
    ops_to_quantize: tuple[str, ...] = ()
    op_ids_to_skip: tuple[int, ...] = ()
    debug: bool = False
    bits: int = FULL_BITS
    layout: str = "offline"
    repairs: OfflineRepairs = OfflineRepairs()
    model_filename: str = MODEL_FILENAME
    params_filename: str = PARAMS_FILENAME


def convert_offline(request: OfflineRequest) -> ConvertedModel:
    """Writes the INT8 model into `request.folder`; drawings go into `debug/` below it.

    The result may hold no INT8 operator at all; `require_int8` checks it.
    Raises: ModelFormatError for files that cannot be used, ConversionError for a model that is not
    fake-quantized or an option that it cannot honour.
    """
    from paddle_int8.tasks.engines.paddle.conversion.narrowed import (
        NARROWED_FACTORS,
        narrow_factors,
        narrow_weights,
    )
    from paddle_int8.tasks.engines.paddle.conversion.own_names import rename_int8_tensors
    from paddle_int8.tasks.engines.paddle.conversion.quant2int8 import (
        PassOptions,
        int8_operators,
        quantize_graph,
    )
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program
    from paddle_int8.tasks.engines.paddle.rewrites.float_types import cast_to_fp32

    options = PassOptions(
        ops_to_quantize=fused_names(request.ops_to_quantize),
        op_ids_to_skip=frozenset(request.op_ids_to_skip),
        skipped_passes=request.repairs.skipped_passes(),
        fused_conv=request.repairs.fused_conv,
        drawings=request.folder / DEBUG_FOLDER if request.debug else None,
    )
    require_convertible(request.source, (Form.FAKE_QUANT,))
    loaded = load_program(request.source, quantized=True)
    options.repairs[CAST] = cast_to_fp32(loaded)
    try:
        converted = quantize_graph(loaded, options)
    except (RuntimeError, ValueError, KeyError, AttributeError, AssertionError) as error:
        raise ConversionError(
            found=f"Paddle's conversion failed: {type(error).__name__}: {error}",
            required="a model as PaddleSlim writes it with `onnx_format=False`",
            remedy="quantize it again, or leave the operator that the log names last out of `op_types`",
        ) from error
    if request.bits < FULL_BITS:
        narrow_weights(converted.program, request.bits)
        options.repairs[NARROWED_FACTORS] = narrow_factors(converted.program, request.bits)
    if request.repairs.weight_layout:
        options.repairs[LAID_OUT] = lay_out_weights(converted.program)
    rename_int8_tensors(converted)
    save_program(
        converted,
        request.folder,
        model_filename=request.model_filename,
        params_filename=request.params_filename,
    )
    int8_ops = dict(sorted(int8_operators(converted.program).items()))
    logger.info("INT8 operators: %s", int8_ops)
    return ConvertedModel(
        folder=request.folder,
        layout=request.layout,
        digest=program_digest(request.folder, request.model_filename, request.params_filename),
        int8_ops=int8_ops,
        repairs=options.repairs,
        size_bytes=sum(
            (request.folder / name).stat().st_size
            for name in (request.model_filename, request.params_filename)
        ),
    )


def fused_names(names: Iterable[str]) -> frozenset[str]:
    """`names` as Paddle's passes know them after fusion; empty stays empty and means all.

    Raises: ConversionError for a name that Paddle cannot quantize.
    """
    wanted = tuple(names)
    if unknown := sorted(set(wanted) - OPS_TO_QUANTIZE.keys()):
        raise ConversionError(
            found=f"ops_to_quantize names {', '.join(unknown)}",
            required=f"names among {', '.join(sorted(OPS_TO_QUANTIZE))}",
            remedy="correct `ops_to_quantize`",
        )
    return frozenset[str]().union(*(OPS_TO_QUANTIZE[name] for name in wanted))
