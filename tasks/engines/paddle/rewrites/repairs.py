"""Rewrites that let Paddle's fusions, and so INT8, reach every layer.

Each one changes an FP32 inference program in place and leaves its outputs as they were. They run before
quantization, so that calibration already sees the repaired graph. Isolated process only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.blocks import bypass, operators, readers, remove, scale_before, writer
from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS
from paddle_int8.tasks.engines.paddle.private.operators import (
    declared_attributes,
    rename_input,
    set_attribute,
    set_input,
)
from paddle_int8.tasks.engines.paddle.private.variables import find_variable
from paddle_int8.tasks.engines.paddle.rewrites.affine import (
    fold_affine_behind_layers,
    fold_factors_before_layers,
    join_scalars,
)
from paddle_int8.tasks.engines.paddle.rewrites.channels_first import compute_channels_first
from paddle_int8.tasks.engines.paddle.rewrites.fences import (
    order_operands,
    put_repeated_operands_second,
    separate_broadcast_products,
    separate_equal_factors,
    separate_equal_parts,
    separate_exchanged_factors,
    separate_normalised_readers,
    separate_repeated_rows,
    separate_reshaped_factors,
    separate_second_activations,
    sign_factors,
)
from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import (
    keep_attention_scores_fp32,
    keep_control_flow_fp32,
    keep_differences_fp32,
    keep_equal_operands_fp32,
    keep_normalised_sums_fp32,
    keep_uneven_pooling_fp32,
    pooled_size,
)
from paddle_int8.tasks.engines.paddle.rewrites.native_kernels import (
    compute_wrong_kernels_natively,
    divide_by_reciprocals,
    resample_natively,
    subtract_logarithms,
)
from paddle_int8.tasks.engines.paddle.rewrites.products import (
    ACTIVATIONS,
    flatten_layer_inputs,
    give_products_a_bias,
    keep_unusual_products_fp32,
    multiply_rows,
)
from paddle_int8.tasks.engines.paddle.rewrites.scalars import give_scalars_a_dimension
from paddle_int8.tasks.engines.paddle.rewrites.signs import RECTIFIERS, unsigned_tensors
from paddle_int8.tasks.engines.paddle.rewrites.stored_weights import (
    fold_computed_weights,
    separate_shared_weights,
    transpose_stored_weights,
)

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

ANY_CONVOLUTION = CONVOLUTIONS | {"conv2d_transpose"}
PRODUCTS = frozenset({"matmul", "matmul_v2"})
LAYERS = ANY_CONVOLUTION | PRODUCTS | {"mul"}
FUSED_INTO_LAYERS = ACTIVATIONS | {"batch_norm", "elementwise_add"}
PASSED = FUSED_INTO_LAYERS | {"reshape2", "transpose2", "scale"}
"""Operators that may stand between a layer and a factor that Paddle still moves into the layer."""
NEARLY_NOTHING = float.fromhex("0x1p-126")
"""The smallest normal float. Adding it changes no value above 1e-31."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A named rewrite. `apply(loaded)` returns how often its pattern matched."""

    name: str
    apply: Callable[[LoadedProgram], int]


def repair(loaded: LoadedProgram) -> dict[str, int]:
    """Applies every rewrite to `loaded` in place; returns how often each one matched, by name."""
    return {rewrite.name: rewrite.apply(loaded) for rewrite in REWRITES}


def fold_convolution_bias(loaded: LoadedProgram) -> int:
    """conv + reshape2(bias, [1, C, 1, 1]) + elementwise_add -> conv + elementwise_add(bias, axis=1).

    `paddle.jit.save` writes the first form, and Paddle's convolution fusions know only the second. Without
    the rewrite bias and activation run as FP32 operators of their own.
    """
    matched = 0
    for block, reshape in operators(loaded, "reshape2"):
        adds = readers(block, reshape.output("Out")[0])
        if _is_channel_bias(block, reshape) and adds and all(_adds_bias(block, reshape, add) for add in adds):
            for add in adds:
                set_input(add, "Y", reshape.input("X"))
                set_attribute(add, "axis", 1)
            remove(block, reshape)
            matched += 1
    return matched


def remove_inference_dropout(loaded: LoadedProgram) -> int:
    """dropout in inference mode -> nothing, or the factor that it then is (`downgrade_in_infer`).

    Without the rewrite the calibration gives the dropout's output a scale, which the conversion loses
    together with the dropout. Paddle itself puts the factor in too late, where `keep_scale_factors` does not
    see it.
    """
    return sum(
        bypass(block, dropout)
        if dropout.attr("dropout_implementation") == "upscale_in_train"
        else _scale_instead(block, dropout, 1 - dropout.attr("dropout_prob"))
        for block, dropout in operators(loaded, "dropout")
        if dropout.attr("is_test")
    )


def remove_identity_pooling(loaded: LoadedProgram) -> int:
    """Adaptive pooling to the size that the input already has -> nothing, as in VGG at 224x224."""
    return sum(
        bypass(block, pool)
        for block, pool in operators(loaded, "pool2d")
        if pool.attr("adaptive") and pooled_size(block, pool) == list(pool.attr("ksize"))
    )


def sign_rectified_residuals(loaded: LoadedProgram) -> int:
    """rectified + convolution -> rectified * 1 + convolution, where no ReLU follows.

    Paddle fuses the sum into the convolution, and the kernel then writes the residual's type. It is unsigned,
    so that negative values of the sum become 0. A residual that comes out of a factor is signed.
    """
    block, matched = loaded.program.global_block(), 0
    unsigned = unsigned_tensors(block, fused=False)
    for _, add in operators(loaded, "elementwise_add"):
        if (rectified := _rectified_residual(block, add, unsigned)) is not None:
            target = f"{add.output('Out')[0]}.residual"
            shape, dtype = block.var(rectified).shape, block.var(rectified).dtype
            block.create_var(name=target, shape=shape, dtype=dtype)
            rename_input(add, rectified, target)
            scale_before(block, add, rectified, target, 1.0, bias=NEARLY_NOTHING)
            matched += 1
    return matched


def keep_scale_factors(loaded: LoadedProgram) -> int:
    """Gives `scale` behind a convolution or a fully connected layer a bias that is not 0 but changes nothing.

    Without a bias Paddle moves the factor into the dequantization between the two, and then lets the layer
    write FP32 itself, without dequantization: the factor is lost.
    """
    matched = 0
    for block, scale in operators(loaded, "scale"):
        if scale.attr("bias") == 0 and scale.attr("scale") != 1 and _scales_a_layer(block, scale):
            set_attribute(scale, "bias", NEARLY_NOTHING)
            matched += 1
    return matched


def mark_inference(loaded: LoadedProgram) -> int:
    """Sets `is_test` on every operator that knows it, as the predictor does when it loads a program.

    Calibration runs the program itself, where oneDNN's transposed convolution refuses to work without it.
    """
    matched = 0
    for block in loaded.program.blocks:
        for op in block.ops:
            if "is_test" in declared_attributes(op.type) and not (
                op.has_attr("is_test") and op.attr("is_test")
            ):
                set_attribute(op, "is_test", True)
                matched += 1
    return matched


REWRITES = (
    # what later rewrites look for: marks, and stored weights in the slots where layers have theirs
    Rewrite("mark_inference", mark_inference),
    Rewrite("keep_control_flow_fp32", keep_control_flow_fp32),
    Rewrite("fold_computed_weights", fold_computed_weights),
    Rewrite("multiply_rows", multiply_rows),
    Rewrite("transpose_stored_weights", transpose_stored_weights),
    Rewrite("separate_shared_weights", separate_shared_weights),
    # fewer operators and one order of dimensions, so that layers stand beside their biases
    Rewrite("remove_inference_dropout", remove_inference_dropout),
    Rewrite("remove_identity_pooling", remove_identity_pooling),
    Rewrite("compute_channels_first", compute_channels_first),
    Rewrite("fold_convolution_bias", fold_convolution_bias),
    # other forms of operators, so that what follows sees those that stay
    Rewrite("subtract_logarithms", subtract_logarithms),
    # factors and offsets into layers that have their biases by now, those of a division's other form too
    Rewrite("divide_by_reciprocals", divide_by_reciprocals),
    Rewrite("fold_affine_behind_layers", fold_affine_behind_layers),
    Rewrite("fold_factors_before_layers", fold_factors_before_layers),
    Rewrite("join_scalars", join_scalars),
    # products as Paddle quantizes them: hide those that are no layers, then add a bias, then flatten
    Rewrite("keep_unusual_products_fp32", keep_unusual_products_fp32),
    Rewrite("give_products_a_bias", give_products_a_bias),
    Rewrite("flatten_layer_inputs", flatten_layer_inputs),
    # copies between operators that stay; a copy of equal factors also puts their values in plain order
    Rewrite("separate_second_activations", separate_second_activations),
    Rewrite("separate_normalised_readers", separate_normalised_readers),
    Rewrite("order_operands", order_operands),
    Rewrite("separate_equal_factors", separate_equal_factors),
    Rewrite("separate_exchanged_factors", separate_exchanged_factors),
    Rewrite("sign_factors", sign_factors),
    Rewrite("separate_equal_parts", separate_equal_parts),
    Rewrite("put_repeated_operands_second", put_repeated_operands_second),
    Rewrite("separate_reshaped_factors", separate_reshaped_factors),
    Rewrite("separate_broadcast_products", separate_broadcast_products),
    Rewrite("separate_repeated_rows", separate_repeated_rows),
    # what no layout quantizes
    Rewrite("keep_uneven_pooling_fp32", keep_uneven_pooling_fp32),
    Rewrite("keep_attention_scores_fp32", keep_attention_scores_fp32),
    Rewrite("keep_normalised_sums_fp32", keep_normalised_sums_fp32),
    Rewrite("keep_differences_fp32", keep_differences_fp32),
    Rewrite("keep_equal_operands_fp32", keep_equal_operands_fp32),
    # INT8 arithmetic; the first adds factors that the second keeps
    Rewrite("sign_rectified_residuals", sign_rectified_residuals),
    Rewrite("keep_scale_factors", keep_scale_factors),
    # wrong kernels last, since their forms hide an operator from the patterns above
    Rewrite("give_scalars_a_dimension", give_scalars_a_dimension),
    Rewrite("resample_natively", resample_natively),
    Rewrite("compute_wrong_kernels_natively", compute_wrong_kernels_natively),
)


def _scales_a_layer(block: Block, scale: Operator) -> bool:
    """Whether `scale` multiplies the result of a layer.

    A product that is scaled directly does not count, since it takes the factor in by itself, before INT8. So
    does a product that reads what is scaled, such as that of an attention's queries and keys.
    """
    source = direct = writer(block, scale.input("X")[0])
    while source is not None and source.type in PASSED:
        source = writer(block, source.input("X")[0])
    fused = direct is not None and direct.type in FUSED_INTO_LAYERS | LAYERS
    if not fused and all(op.type in PRODUCTS for op in readers(block, scale.output("Out")[0])):
        return False
    return source is not None and (
        source.type in ANY_CONVOLUTION or (source.type in LAYERS and source is not direct)
    )


def _rectified_residual(block: Block, add: Operator, unsigned: set[str]) -> str | None:
    """The rectified term of a sum with a convolution, if no ReLU rectifies the sum; else None."""
    terms = add.input("X") + add.input("Y")
    rectified = [name for name in terms if name in unsigned]
    others = [name for name in terms if name not in unsigned]
    if len(rectified) != 1 or not others or block.var(others[0]).persistable:
        return None
    source = writer(block, others[0])
    while source is not None and source.type in ("batch_norm", "elementwise_add"):
        source = writer(block, source.input("X")[0])
    rectifies = [op.type in RECTIFIERS for op in readers(block, add.output("Out")[0])]
    if source is None or source.type not in ANY_CONVOLUTION or rectifies == [True]:
        return None
    return str(rectified[0])


def _scale_instead(block: Block, op: Operator, factor: float) -> bool:
    """Replaces `op` (X -> Out) by a factor."""
    scale_before(block, op, op.input("X")[0], op.output("Out")[0], factor)
    remove(block, op)
    return True


def _is_channel_bias(block: Block, reshape: Operator) -> bool:
    bias = find_variable(block, reshape.input("X")[0])
    shape = list(reshape.attr("shape"))
    constant_shape = not reshape.input("Shape") and not reshape.input("ShapeTensor")
    return bool(
        constant_shape
        and bias is not None
        and bias.persistable
        and len(bias.shape) == 1
        and shape in ([1, -1, 1, 1], [1, bias.shape[0], 1, 1])
    )


def _adds_bias(block: Block, reshape: Operator, add: Operator) -> bool:
    if add.type != "elementwise_add" or add.input("Y") != reshape.output("Out"):
        return False
    source = writer(block, add.input("X")[0])
    return (
        source is not None
        and source.type in ANY_CONVOLUTION
        and source.attr("data_format") in ("NCHW", "AnyLayout")
    )
