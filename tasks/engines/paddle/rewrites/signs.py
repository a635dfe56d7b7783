"""Finds the tensors that INT8 kernels write as unsigned bytes. Isolated process only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import is_kept_fp32

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

RECTIFIERS = frozenset({"relu", "relu6"})
ACTIVATIONS = ("fuse_activation", "activation_type")
"""Attributes of a convolution and of a fully connected layer that have an activation fused in."""
LAYERS = frozenset(
    {"conv2d", "depthwise_conv2d", "fused_conv2d", "fc", "mul", "matmul", "matmul_v2", "fused_matmul"}
)
"""Operators whose INT8 kernels multiply, by their names before and after fusion."""
CONCAT = "concat"
SIGN_JOINING = frozenset({"elementwise_add", "elementwise_mul"})
"""Operators of two tensors whose result the predictor of `qdq` takes for unsigned if both of them are."""
QUANT_PAIR = frozenset({"quantize_linear", "dequantize_linear"})
SCALE_KEEPING = frozenset(
    {
        "pool2d",
        "reshape2",
        "transpose2",
        "fused_transpose",
        "nearest_interp",
        "nearest_interp_v2",
        "slice",
        "split",
    }
)
"""Operators whose INT8 kernels write with the scale and the sign that they read."""
SIGN_KEEPING = SCALE_KEEPING | QUANT_PAIR
SIGN_KNOWN = SIGN_KEEPING | {"scale", "flatten_contiguous_range", "squeeze2", "unsqueeze2"}
"""Operators behind which the predictor of `qdq` still knows the sign."""


def unsigned_tensors(block: Block, *, fused: bool = True, passing: frozenset[str] = SIGN_KEEPING) -> set[str]:
    """Outputs of layers with a rectifier fused in, and of operators that pass their bytes on.

    fused: False for a program whose layers the predictor of `qdq` fuses. That predictor knows the sign of
    what any rectifier writes, also where operators that pass it on stay in FP32.
    """
    unsigned: set[str] = set()
    for op in block.ops:
        if op.type == CONCAT:
            passed = not is_kept_fp32(op) and unsigned.issuperset(op.input("X"))
        elif op.type in SIGN_JOINING and not fused:
            passed = unsigned.issuperset(op.input("X") + op.input("Y"))
        else:
            passed = op.type in passing and not unsigned.isdisjoint(op.input_arg_names)
            passed = passed and not (fused and is_kept_fp32(op))
        if passed or _rectifies(op) or (not fused and op.type in RECTIFIERS):
            unsigned.update(op.output_arg_names)
    return unsigned


def _rectifies(op: Operator) -> bool:
    return any(op.has_attr(name) and op.attr(name) in RECTIFIERS for name in ACTIVATIONS)
