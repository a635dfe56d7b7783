"""Gives factors of INT8 products fewer bits, so that sums of products fit into 16. Isolated process only.

Without VNNI, oneDNN adds two products of an unsigned and a signed byte in 16 bits, which saturate: two of
255 x 127 need 17. With a second factor of 7 bits they fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.blocks import position, readers, writer
from paddle_int8.tasks.engines.paddle.conversion.mixed_signs import PRODUCTS
from paddle_int8.tasks.engines.paddle.conversion.offline import CONVOLUTION
from paddle_int8.tasks.engines.paddle.form import is_int8
from paddle_int8.tasks.engines.paddle.private.operators import insert_operator, set_attribute, set_input
from paddle_int8.tasks.engines.paddle.rewrites.signs import unsigned_tensors

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, Operator, Program

WEIGHT_SCALE = "Scale_weights"
"""The attribute that holds, for each channel, the integer that one unit of a weight becomes."""
FACTOR_SCALE = "Scale_y"
"""The attribute that holds the integer that one unit of a product's second factor is."""
NARROWED_FACTORS = "narrow_factors"


def narrow_weights(program: Program, bits: int) -> None:
    """Makes oneDNN quantize the weights to `bits` bits instead of 8.

    oneDNN quantizes weights when it loads them, and divides its sums by the same scale, so that the scale is
    all there is to change. Convolutions of signed inputs are left alone: there oneDNN itself takes a bit from
    the weights where it has no VNNI.
    """
    block = program.global_block()
    unsigned = unsigned_tensors(block)
    unsigned |= {op.output("Output")[0] for op in block.ops if _writes_unsigned(op)}
    for op in block.ops:
        by_onednn = op.type in CONVOLUTION and unsigned.isdisjoint(op.input("Input"))
        if is_int8(op) and op.has_attr(WEIGHT_SCALE) and not by_onednn:
            set_attribute(op, WEIGHT_SCALE, [scale * 2.0 ** (bits - 8) for scale in op.attr(WEIGHT_SCALE)])


def narrow_factors(program: Program, bits: int) -> int:
    """Gives the second factor of each product of two activations `bits` bits instead of 8.

    A factor that is quantized for the product alone gets a smaller scale. One that an INT8 kernel writes, or
    that others read too, is requantized in front of the product.
    Returns how many products there are.
    """
    block = program.global_block()
    found = [op for op in block.ops if op.type in PRODUCTS and is_int8(op)]
    for op in found:
        _narrow(block, op, 2.0 ** (bits - 8))
    return len(found)


def _writes_unsigned(op: Operator) -> bool:
    return bool(op.type == "quantize" and not op.attr("is_negative_input"))


def _narrow(block: Block, product: Operator, factor: float) -> None:
    (name,), scale = product.input("Y"), product.attr(FACTOR_SCALE)
    source = writer(block, name)
    if source is not None and source.type == "quantize" and len(readers(block, name)) == 1:
        set_attribute(source, "Scale", scale * factor)
    else:
        narrowed = f"{name}.{product.output('Out')[0]}.narrowed"
        block.create_var(name=narrowed, shape=block.var(name).shape, dtype=block.var(name).dtype)
        insert_operator(
            block,
            position(block, product),
            type="requantize",
            inputs={"Input": [name]},
            outputs={"Output": [narrowed]},
            attrs={"Scale_in": scale, "Scale_out": scale * factor, "Shift_in": 0.0, "Shift_out": 0.0},
        )
        set_input(product, "Y", [narrowed])
    set_attribute(product, FACTOR_SCALE, scale * factor)
