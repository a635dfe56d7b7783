"""A simulation that rounds all that INT8 kernels round, where PaddleSlim's rounds what layers read.

An INT8 kernel whose result another INT8 kernel reads writes bytes, for all that read it; and sums and
products in INT8 read bytes. PaddleSlim's simulation gives the rounded values to layers alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.engines.paddle.blocks import position, put_parameter, readers, value, writer
from paddle_int8.tasks.engines.paddle.conversion.data_movement import COMBINING
from paddle_int8.tasks.engines.paddle.conversion.mixed_signs import PRODUCTS
from paddle_int8.tasks.engines.paddle.conversion.quantized_reads import quantized_sources, read_as_bytes
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.form import DEQUANTIZE, QUANTIZE
from paddle_int8.tasks.engines.paddle.private.operators import (
    insert_operator,
    rename_input,
    set_attribute,
)
from paddle_int8.tasks.engines.paddle.private.variables import variable_of
from paddle_int8.tasks.engines.paddle.program import LoadedProgram, load_program, save_program
from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import is_kept_fp32
from paddle_int8.tasks.engines.paddle.rewrites.signs import LAYERS

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, Operator


def as_stored(converted: Path, folder: Path) -> Path:
    """Writes the simulation of `converted`, a model in the layout `qdq`, into `folder`; returns `folder`."""
    loaded = load_program(find_model(ModelFiles(path=converted)), quantized=True)
    block = loaded.program.global_block()
    sources, written = quantized_sources(block), _written_as_bytes(block)
    for name in read_as_bytes(block):
        for op in block.ops:
            if op.type in (QUANTIZE, DEQUANTIZE) and sources.get(op.output("Y")[0]) == name:
                set_attribute(op, "only_observer", False)
        if name in written:
            _round_for_all(block, name)
    save_program(loaded, folder)
    return folder


def narrow_factors(loaded: LoadedProgram, bits: int) -> None:
    """Rounds second factors of products of two activations to fewer bits, in a program of the QDQ format."""
    block = loaded.program.global_block()
    for product in [op for op in block.ops if op.type in PRODUCTS]:
        (name,) = product.input("Y")
        last = writer(block, name)
        if last is None or last.type != DEQUANTIZE or variable_of(block, last.input("X")[0]).persistable:
            continue
        pair, (scale,) = writer(block, last.input("X")[0]), last.input("Scale")
        put_parameter(loaded, f"{name}.scale", value(loaded, scale) * np.float32(2 ** (8 - bits)))
        place = position(block, product)
        for index, (like, source, target) in enumerate(
            ((pair, name, f"{name}.steps"), (last, f"{name}.steps", f"{name}.narrow"))
        ):
            given = variable_of(block, name)
            block.create_var(name=target, shape=given.shape, dtype=given.dtype)
            _insert_like(block, place + index, like, source, target, scale=f"{name}.scale")
        rename_input(product, name, f"{name}.narrow")


def _written_as_bytes(block: Block) -> set[str]:
    """What layers, and sums and products in INT8, write, past what is fused into them or keeps the scale."""
    sources, found = quantized_sources(block), set[str]()
    for op in block.ops:
        inputs = {sources.get(name, name) for name in op.input_arg_names}
        computes = op.type in LAYERS | COMBINING and not is_kept_fp32(op)
        if op.type != QUANTIZE and (computes or not found.isdisjoint(inputs)):
            found.update(op.output_arg_names)
    return found


def _round_for_all(block: Block, name: str) -> None:
    """Puts a pair of quantizers behind the operator that writes `name`, for all that read it."""
    pair = next(op for op in readers(block, name) if op.type == QUANTIZE)
    last = next(op for op in block.ops if op.type == DEQUANTIZE and op.input("X") == pair.output("Y"))
    reading, maker = readers(block, name), writer(block, name)
    if maker is None:
        return
    bytes_, rounded = f"{name}.bytes", f"{name}.rounded"
    for made in (bytes_, rounded):
        given = variable_of(block, name)
        block.create_var(name=made, shape=given.shape, dtype=given.dtype)
    place = position(block, maker) + 1
    _insert_like(block, place, pair, name, bytes_)
    _insert_like(block, place + 1, last, bytes_, rounded)
    for op in reading:
        rename_input(op, name, rounded)


def _insert_like(block: Block, place: int, op: Operator, source: str, target: str, scale: str = "") -> None:
    """scale: the variable of its scale; "" for that of `op`."""
    insert_operator(
        block,
        place,
        type=op.type,
        inputs={
            "X": [source],
            "Scale": [scale] if scale else op.input("Scale"),
            "ZeroPoint": op.input("ZeroPoint"),
        },
        outputs={"Y": [target]},
        attrs={"quant_axis": op.attr("quant_axis"), "bit_length": op.attr("bit_length")},
    )
