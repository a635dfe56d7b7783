"""Keeps operators in FP32 that INT8 would give one signed and one unsigned input. Isolated process only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.blocks import is_skipped
from paddle_int8.tasks.engines.paddle.conversion.quantized_reads import stored_tensors
from paddle_int8.tasks.engines.paddle.rewrites.fences import fence
from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import keep_fp32
from paddle_int8.tasks.engines.paddle.rewrites.signs import SIGN_KNOWN, unsigned_tensors

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, Operator, Program

MIXED_SIGNS, MIXED_PRODUCTS = "keep_mixed_signs_fp32", "keep_mixed_products_fp32"
"""Names of the changes of sums and differences, and of products, which count as layers."""
PRODUCTS = frozenset({"matmul", "matmul_v2", "fused_matmul"})
OF_TWO_INPUTS = PRODUCTS | {
    name.format(kind)
    for kind in ("elementwise_add", "elementwise_sub", "elementwise_mul")
    for name in ("{}", "fused_{}")
}


def keep_mixed_signs_fp32(program: Program) -> dict[str, int]:
    """Marks sums, differences and products of a rectified and a signed input so that they stay in FP32.

    A layer with a ReLU fused in writes unsigned bytes, which the conversion does not know. No kernel takes
    signed bytes with unsigned ones, and the predictor dies in the operator. A rectified tensor that went
    through FP32 afterwards, for example through a factor, comes back signed. `program` is fused already:
    residual sums are part of their convolutions.
    Returns how many there were, by name.
    """
    block = program.global_block()
    found = _mixed(block, OF_TWO_INPUTS, unsigned_tensors(block))
    for op in found:
        keep_fp32(op)
    products = sum(op.type in PRODUCTS for op in found)
    return {MIXED_SIGNS: len(found) - products, MIXED_PRODUCTS: products}


def hide_rectified_products(program: Program) -> int:
    """Makes products with a rectified factor read a copy without a scale, so that they stay FP32.

    The predictor of `qdq` reads that factor as unsigned bytes, and dies. Models that are quantized here have
    been through `sign_factors`. The mark that keeps other operators in FP32 would be lost, since the
    predictor renames the product. `program` is as PaddleSlim writes it.
    Returns how many there were, without those that PaddleSlim left in FP32.
    """
    block = program.global_block()
    unsigned = unsigned_tensors(block, fused=False, passing=SIGN_KNOWN)
    found = [
        op
        for op in _of_activations(block, PRODUCTS)
        if not unsigned.isdisjoint(op.input("X") + op.input("Y"))
    ]
    for op in found:
        fence(block, op, op.input("X")[0])
    return sum(not is_skipped(op) for op in found)


def _mixed(block: Block, kinds: frozenset[str], unsigned: set[str]) -> list[Operator]:
    """Operators of `kinds` on two activations, of which one is unsigned."""
    return [
        op
        for op in _of_activations(block, kinds)
        if len({name in unsigned for name in op.input("X") + op.input("Y")}) == 2
    ]


def _of_activations(block: Block, kinds: frozenset[str]) -> list[Operator]:
    stored = stored_tensors(block)
    return [op for op in block.ops if op.type in kinds and stored.isdisjoint(op.input("X") + op.input("Y"))]
