"""Operators that every layout leaves in FP32. Isolated process only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from paddle_int8.tasks.contracts.errors import QuantizationError
from paddle_int8.tasks.contracts.suggestion import did_you_mean
from paddle_int8.tasks.engines.paddle.blocks import hide_from_slim, operators, writer
from paddle_int8.tasks.engines.paddle.private.operators import set_attribute
from paddle_int8.tasks.engines.paddle.private.variables import variable_of

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

MARK = "skip_quant"
ELEMENTWISE = frozenset({"elementwise_add", "elementwise_sub", "elementwise_mul"})
BEFORE_SOFTMAX = ELEMENTWISE | {"scale", "cast", "reshape2"}
"""Operators that may stand between the product of an attention and its softmax."""
ENDS = frozenset({"feed", "fetch"})
CONTROL_FLOW = frozenset({"while", "conditional_block"})


def keep_fp32(op: Operator) -> None:
    """Marks `op` so that no layout quantizes it."""
    set_attribute(op, MARK, True)


def is_kept_fp32(op: Operator) -> bool:
    return bool(op.has_attr(MARK) and op.attr(MARK))


def keep_named_fp32(loaded: LoadedProgram, outputs: Sequence[str]) -> None:
    """Makes PaddleSlim and every layout leave the operators in FP32 that write these tensors.

    Raises: QuantizationError when no operator writes one of them.
    """
    found = [op for block in loaded.program.blocks for op in block.ops if op.type not in ENDS]
    writers = {name: op for op in found for name in op.output_arg_names}
    if unknown := [name for name in outputs if name not in writers]:
        raise QuantizationError(
            found="; ".join(f"no operator writes {name}{did_you_mean(name, writers)}" for name in unknown),
            required=f"output tensors of the model's operators, such as {', '.join(list(writers)[:3])}",
            remedy="correct the strategy that asked for the candidate; it finds the operators of a candidate "
            "that was tried in `quantized.operators`",
        )
    for name in outputs:
        keep_fp32(writers[name])
        hide_from_slim(writers[name])


def keep_control_flow_fp32(loaded: LoadedProgram) -> int:
    """Makes PaddleSlim leave loops and branches alone, and operators that read what a loop has changed.

    Paddle's conversion does not look into loops and branches. A variable that is written twice stands for two
    tensors, of which PaddleSlim would quantize one: "Generated graph shouldn't contain cycle".
    """
    main, *nested = loaded.program.blocks
    writers = Counter(name for op in main.ops for name in set(op.output_arg_names))
    loops = [op for op in main.ops if op.type in CONTROL_FLOW]
    changed = {name for op in loops for name in op.output_arg_names if writers[name] > 1}
    found = [op for block in nested for op in block.ops]
    found += [op for op in main.ops if not changed.isdisjoint(op.input_arg_names) and op not in loops]
    for op in found:
        hide_from_slim(op)
    return len(found)


def keep_uneven_pooling_fp32(loaded: LoadedProgram) -> int:
    """Marks adaptive pooling with windows of different sizes so that no layout quantizes it.

    Without the mark the predictor dies with "There are no kernels which are registered in the pool2d
    operator": oneDNN has no such pooling, and Paddle's own kernel has no INT8.
    """
    matched = 0
    for block, pool in operators(loaded, "pool2d"):
        size = pooled_size(block, pool)
        even = all(have > 0 and have % want == 0 for have, want in zip(size, pool.attr("ksize"), strict=True))
        if pool.attr("adaptive") and set(pool.attr("ksize")) != {1} and not even:
            keep_fp32(pool)
            matched += 1
    return matched


def keep_attention_scores_fp32(loaded: LoadedProgram) -> int:
    """Marks the sums, differences and products between a product's scores and its softmax so that no layout
    quantizes them.

    A mask adds -10,000 or more to the scores of the padding. One scale for both leaves nothing of the scores,
    and softmax reads FP32 anyway.
    """
    marked = set()
    for block, softmax in operators(loaded, "softmax"):
        waiting = softmax.input("X")
        while waiting:
            source = writer(block, waiting.pop())
            if source is not None and source.type in BEFORE_SOFTMAX and source not in marked:
                waiting += source.input("X")
                if source.type in ELEMENTWISE:
                    keep_fp32(source)
                    marked.add(source)
    return len(marked)


def keep_normalised_sums_fp32(loaded: LoadedProgram) -> int:
    """Marks the sums that a layer normalisation reads so that no layout quantizes them.

    A few channels of a Transformer's residual sums are some hundred times as large as the others. One scale
    for all leaves little of the others, and the normalisation reads FP32 anyway.
    """
    matched = 0
    for block, norm in operators(loaded, "layer_norm"):
        source = writer(block, norm.input("X")[0])
        if source is not None and source.type == "elementwise_add":
            keep_fp32(source)
            matched += 1
    return matched


def keep_differences_fp32(loaded: LoadedProgram) -> int:
    """Marks differences of two activations so that no layout quantizes them.

    Twin networks compare tensors that are nearly equal. A difference that is small beside its terms is lost
    when both terms are rounded to bytes.
    """
    found = [
        op
        for block, op in operators(loaded, "elementwise_sub")
        if not any(block.var(name).persistable for name in op.input_arg_names)
    ]
    for op in found:
        keep_fp32(op)
    return len(found)


def keep_equal_operands_fp32(loaded: LoadedProgram) -> int:
    """Marks sums and products of a tensor with itself so that no layout quantizes them.

    The conversion to `offline` knows operands by their names. Where both have one name, the INT8 kernel's
    answer is far from PaddleSlim's simulation.
    """
    found = [
        op
        for kind in sorted(ELEMENTWISE)
        for _, op in operators(loaded, kind)
        if op.input("X") == op.input("Y")
    ]
    for op in found:
        keep_fp32(op)
    return len(found)


def pooled_size(block: Block, pool: Operator) -> list[int]:
    """The sides of the pooling's input, such as height and width; -1 where any size is possible."""
    shape = variable_of(block, pool.input("X")[0]).shape
    return list(shape[1:-1] if pool.attr("data_format").endswith("C") else shape[2:])
