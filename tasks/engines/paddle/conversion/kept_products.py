"""Keeps products in FP32 that Paddle's fusions make of others which were kept. Isolated process only.

A fully connected layer is a product and a sum until Paddle fuses both into a new operator `fc`. The new one
has none of the marks of the product. So the conversion to `offline`, and the predictor of `qdq`, would
quantize it all the same where its input has a scale.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.rewrites.fences import fence
from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import is_kept_fp32, keep_fp32

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Operator, Program

KEPT_PRODUCTS, HIDDEN_PRODUCTS = "keep_fused_products_fp32", "hide_kept_products"
PRODUCTS = frozenset({"mul", "matmul", "matmul_v2"})
Factors = tuple[str, str]


def kept_factors(program: Program) -> frozenset[Factors]:
    """The factors of each product that stays FP32."""
    return frozenset((op.input("X")[0], op.input("Y")[0]) for op in _kept(program))


def keep_fused_products_fp32(program: Program, kept: Collection[Factors]) -> int:
    """Marks each `fc` that multiplies such factors. Returns how many there are."""
    found = [
        op
        for op in program.global_block().ops
        if op.type == "fc" and (op.input("Input")[0], op.input("W")[0]) in kept
    ]
    for op in found:
        keep_fp32(op)
    return len(found)


def hide_kept_products(program: Program) -> int:
    """Makes products that stay FP32 read a copy without a scale. The layout `qdq` needs it.

    `program` is as PaddleSlim writes it: the predictor fuses it later, out of reach.
    Returns how many there were.
    """
    found = _kept(program)
    for op in found:
        fence(program.global_block(), op, op.input("X")[0])
    return len(found)


def _kept(program: Program) -> list[Operator]:
    return [op for op in program.global_block().ops if op.type in PRODUCTS and is_kept_fp32(op)]
