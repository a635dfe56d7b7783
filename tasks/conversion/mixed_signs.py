"""Operators of two inputs of which INT8 would make one signed and the other unsigned.

Isolated process only.
"""

from __future__ import annotations

from typing import Any

from tasks.conversion.signed_residuals import RECTIFIERS, SIGN_KEEPING

MIXED_SIGNS = "keep_mixed_signs_fp32"
OF_TWO_INPUTS = frozenset(
    name.format(kind)
    for kind in ("elementwise_add", "elementwise_sub", "elementwise_mul")
    for name in ("{}", "fused_{}")
) | {"matmul", "matmul_v2", "fused_matmul"}
ACTIVATIONS = ("fuse_activation", "activation_type")
"""Attributes of a convolution and of a fully connected layer that have an activation fused in."""
PASSING = SIGN_KEEPING | {"scale", "fused_transpose", "flatten_contiguous_range", "squeeze2", "unsqueeze2"}


def keep_mixed_signs_fp32(program: Any) -> int:
    """Marks sums, differences and products of a rectified and a signed input so that they stay in FP32.

    A layer with a ReLU fused in writes unsigned bytes, which the conversion does not know. No kernel takes
    such a pair, and the predictor dies in the operator. `program` is fused already: residual sums are part
    of their convolutions.
    Returns how many there were.
    """
    block, matched = program.global_block(), 0
    unsigned: set[str] = set()
    for op in block.ops:
        if op.type in OF_TWO_INPUTS:
            inputs = op.input("X") + op.input("Y")
            stored = any(block.var(name).persistable for name in inputs)
            if not stored and len({name in unsigned for name in inputs}) == 2:
                op._set_attr("skip_quant", True)
                matched += 1
        if _rectifies(op) or (op.type in PASSING and unsigned.intersection(op.input_arg_names)):
            unsigned.update(op.output_arg_names)
    return matched


def _rectifies(op: Any) -> bool:
    return any(op.has_attr(name) and op.attr(name) in RECTIFIERS for name in ACTIVATIONS)
