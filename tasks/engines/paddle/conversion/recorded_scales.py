"""Writes scales into a `qdq` program, where the predictor looks for them before it computes its own.

Isolated process only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.blocks import value
from paddle_int8.tasks.engines.paddle.conversion.common_scales import common_scales, scales_before_factors
from paddle_int8.tasks.engines.paddle.form import HOLDER
from paddle_int8.tasks.engines.paddle.private.operators import add_flag, add_numbers, insert_operator

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Program

SUM, COPY = "elementwise_add", "assign"
PRODUCTS = frozenset({"mul", "matmul", "matmul_v2"})
HAS_SCALES = "has_quant_info"
SUFFIX = "_var_quant_scales_has_quant_info"
NOWHERE = "/dev/null"

Scales = dict[str, list[float]]


def weight_scales(loaded: LoadedProgram) -> Scales:
    """The scales of the weights of fully connected layers, by weight.

    A scale is the factor with which a column lies within [-1, 1]; 1 for a column of zeros, which kernels
    without VNNI would turn into NaN with any scale that has no inverse. A weight that was quantized with one
    scale for all columns has one.
    """
    block = loaded.program.global_block()
    products = {op.input("Y")[0] for op in block.ops if op.type in PRODUCTS}
    found = {}
    for op in block.ops:
        if op.type != "dequantize_linear" or op.output("Y")[0] not in products:
            continue
        name, axis = op.input("X")[0], op.attr("quant_axis")
        if loaded.scope.find_var(name) is None or not block.var(name).persistable:
            continue
        thresholds = _values(loaded, op.input("Scale")[0])
        if len(block.var(name).shape) == 2 and (axis == 1 or len(thresholds) == 1):
            found[name] = [_inverse(threshold) or 1.0 for threshold in thresholds]
    return found


def record_scales(loaded: LoadedProgram, weights: Scales) -> int:
    """Writes `weights`, and the scales of all activations, into an operator that does nothing else.

    At load `compute_propagate_scales_mkldnn_pass` computes the scale of an output's column from as many
    consecutive weights as the layer has inputs. These are weights of several columns, so that the scale is
    wrong. The pass computes no scale that the graph holds already, as an attribute of its first `save`
    operator. `quant_dequant_mkldnn_pass` adds such an operator. The one that is added here stands in front of
    it, and so must hold all that Paddle's holds. Paddle's stays in the graph until the predictor's
    `inserted_passes` remove it. Where nobody asks for INT8, the operator saves one number to nowhere.
    Returns how many weights there were.
    Source: `GetInfoFromTheTmpOp` of mkldnn_pass_util.h and `ComputeVarScales` of
    compute_propagate_scales_mkldnn_pass.cc, Paddle 2.6.
    """
    block = loaded.program.global_block()
    activations = activation_scales(loaded)
    activations |= scales_before_factors(activations, loaded.program)
    activations = common_scales(activations, loaded.program, fp32_too=True)
    activations |= scales_of_parted_sums(activations, loaded.program)
    scales = weights | {name: [scale] for name, scale in activations.items()}
    end = next(index for index, op in enumerate(block.ops) if op.type == "fetch")
    number = next(op.input("Scale")[0] for op in block.ops if op.type == "quantize_linear")
    holder = insert_operator(
        block, end, type=HOLDER, inputs={"X": [number]}, attrs={"file_path": NOWHERE, "overwrite": True}
    )
    add_flag(holder, HAS_SCALES)
    for name, values in sorted(scales.items()):
        add_numbers(holder, f"{name}{SUFFIX}", values)
    return len(weights)


def activation_scales(loaded: LoadedProgram) -> dict[str, float]:
    """Scales of activations by tensor, found in the order in which `quant_dequant_mkldnn_pass` looks.

    The first that is found for a tensor stays.
    """
    operators = loaded.program.global_block().ops
    found: dict[str, float] = {}
    for op in [op for op in operators if op.type == "dequantize_linear"]:
        if loaded.scope.find_var(op.input("X")[0]) is None:
            threshold = _values(loaded, op.input("Scale")[0])[0]
            for name in (op.output("Y")[0], op.input("X")[0]):
                found.setdefault(name, _inverse(threshold))
    for op in [op for op in operators if op.type == "quantize_linear"]:
        if threshold := _values(loaded, op.input("Scale")[0])[0]:
            for name in (op.input("X")[0], op.output("Y")[0]):
                found.setdefault(name, _inverse(threshold))
    for op in operators:
        if op.has_attr("out_threshold") and (threshold := op.attr("out_threshold")):
            for name in op.output_arg_names:
                found.setdefault(name, _inverse(threshold))
    return found


def scales_of_parted_sums(known: Mapping[str, float], program: Program) -> dict[str, float]:
    """Scales for sums that have none, where a copy of the sum has one.

    The predictor fuses a sum into the convolution in front, which stays FP32 where the sum has no scale.
    """
    operators = program.global_block().ops
    sums = {op.output("Out")[0] for op in operators if op.type == SUM} - known.keys()
    return {
        op.input("X")[0]: known[op.output("Out")[0]]
        for op in operators
        if op.type == COPY and op.input("X")[0] in sums and op.output("Out")[0] in known
    }


def _values(loaded: LoadedProgram, name: str) -> list[float]:
    values: list[float] = value(loaded, name).ravel().tolist()
    return values


def _inverse(threshold: float) -> float:
    return 1 / threshold if threshold else 0.0
