"""Gives one common scale to all tensors between which kernels pass bytes on. Isolated process only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.conversion.quantized_reads import quantized_sources, read_as_bytes
from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import is_kept_fp32
from paddle_int8.tasks.engines.paddle.rewrites.signs import CONCAT, QUANT_PAIR, SCALE_KEEPING

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, Operator, Program


def common_scales(scales: Mapping[str, float], program: Program, *, fp32_too: bool) -> dict[str, float]:
    """`scales` by tensor, with one common scale for all tensors that share a kernel's bytes.

    Pooling, reshaping and the like write with the scale that they read. All tensors that one concatenation
    reads or writes get the scale of the widest range among them, and so do the parts of a tensor that has no
    scale, such as an input that is split.

    Paddle does this in one pass, in which a concatenation hands its scale to tensors that other operators
    have read already. A layer then takes bytes of one scale for bytes of another. It happens where a tensor
    goes into a concatenation and into something else, and where concatenations are chained.
    scales: INT8 steps a unit, up to a factor.
    fp32_too: also treats concatenations that stay in FP32, since the predictor of `qdq` does so where the
        result has a scale. A result that nothing reads as bytes gets no scale.
    """
    block = program.global_block()
    sources = quantized_sources(block) if fp32_too else {}
    quantized = handing_on(block, sources)
    concatenations = [
        op
        for op in block.ops
        if op.type == CONCAT and (not is_kept_fp32(op) or not quantized.isdisjoint(op.output("Out")))
    ]
    concatenated = {name for op in concatenations for name in op.output("Out")}
    common = dict(scales)
    for names in _groups(block, concatenations):
        known = [scales[name] for name in names if scales.get(name, 0) > 0]
        if known:
            handed_on = names[0] if concatenated.isdisjoint(names) else ""
            scale = scales.get(handed_on) or min(known)
            common.update(dict.fromkeys(names, scale))
    unscaled = _unscaled(block, sources, quantized) if fp32_too else set()
    return {name: scale for name, scale in common.items() if sources.get(name, name) not in unscaled}


def scales_before_factors(scales: Mapping[str, float], program: Program) -> dict[str, float]:
    """Scales for the tensors that `scale` operators read and that have none yet, by tensor.

    A product takes in the factor in front of it, such as that of an attention's queries, and then reads a
    tensor that was never calibrated.
    """
    found: dict[str, float] = {}
    for op in reversed(program.global_block().ops):
        if op.type == "scale" and not op.attr("bias"):
            source, target = op.input("X")[0], op.output("Out")[0]
            known = scales.get(target) or found.get(target)
            if known and op.attr("scale") and not scales.get(source):
                found[source] = known * abs(op.attr("scale"))
    return found


def handing_on(block: Block, sources: Mapping[str, str]) -> set[str]:
    """Tensors of a `qdq` program that are read as bytes, and tensors that hand their scale on to these."""
    found = set(read_as_bytes(block))
    for op in reversed(block.ops):
        if op.type in SCALE_KEEPING | {CONCAT} and not found.isdisjoint(op.output_arg_names):
            found.update(sources.get(name, name) for name in op.input_arg_names)
    return found


def _unscaled(block: Block, sources: Mapping[str, str], scaled: set[str]) -> set[str]:
    """Results of concatenations that are not in `scaled`, and tensors that hold their values in FP32."""
    found: set[str] = set()
    for op in block.ops:
        inputs = {sources.get(name, name) for name in op.input_arg_names}
        if op.type == CONCAT or (op.type in SCALE_KEEPING and not found.isdisjoint(inputs)):
            found.update(name for name in op.output_arg_names if name not in scaled)
    return found


def _groups(block: Block, concatenations: list[Operator]) -> list[list[str]]:
    """Groups of tensors that share a scale, in the order in which they are written."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while (parent := parents.setdefault(name, name)) != name:
            name = parent
        return name

    def join(names: Iterable[str]) -> None:
        first, *others = (root(name) for name in names)
        parents.update(dict.fromkeys(others, first))

    for op in concatenations:
        join(op.input("X") + op.output("Out"))
    for op in block.ops:
        if op.type in SCALE_KEEPING and not is_kept_fp32(op):
            join(op.input("Input" if op.type == "slice" else "X") + op.output("Out"))
        elif op.type in QUANT_PAIR and not block.var(op.input("X")[0]).persistable:
            join(op.input("X") + op.output("Y"))
    written = [name for op in block.ops for name in op.output_arg_names if name in parents]
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(written):
        groups.setdefault(root(name), []).append(name)
    return list(groups.values())
