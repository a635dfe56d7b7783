"""Copies between operators that Paddle would join wrongly on oneDNN. Isolated process only.

`assign` has no kernel in oneDNN: nothing is fused across it, and what it writes lies in plain order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.blocks import operators, position, readers, writer
from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS
from paddle_int8.tasks.engines.paddle.private.operators import insert_operator, rename_input, set_input
from paddle_int8.tasks.engines.paddle.private.variables import variable_of
from paddle_int8.tasks.engines.paddle.rewrites.products import ACTIVATIONS
from paddle_int8.tasks.engines.paddle.rewrites.scalars import ELEMENTWISE
from paddle_int8.tasks.engines.paddle.rewrites.signs import SIGN_KNOWN, unsigned_tensors

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

PRODUCTS = ("matmul", "matmul_v2", "bmm")
TRANSPOSED = frozenset({"conv2d_transpose", "depthwise_conv2d_transpose"})
CONVOLVED = CONVOLUTIONS | TRANSPOSED | {"fused_conv2d", "conv3d", "conv3d_transpose"}
LAID_OUT = CONVOLVED | {"pool2d", "pool3d", "batch_norm", "lrn"}
"""Operators that write their values in the order that suits their kernel."""
PLAIN = frozenset(
    {
        *("feed", "assign", "cast", "logsumexp", "fc", "mul", *PRODUCTS, "fused_matmul", "lookup_table_v2"),
        *("reshape", "reshape2", "transpose", "transpose2", "fused_transpose"),
        *("squeeze2", "unsqueeze2", "flatten2", "flatten_contiguous_range"),
    }
)
"""Operators that write their values in plain order, whatever order they read."""
PICTURE_RANK = 4
LEAST_RANK = 3
"""A tensor with fewer dimensions has its values always in plain order."""


def separate_second_activations(loaded: LoadedProgram) -> int:
    """activation -> activation, with a copy between.

    Paddle fuses both into the layer in front, which holds only one: the layer then computes the second
    function with the parameters of the first, and leaves the first out.
    """
    found = [
        fence(block, op, op.input("X")[0])
        for kind in sorted(ACTIVATIONS)
        for block, op in operators(loaded, kind)
        if (source := writer(block, op.input("X")[0])) is not None and source.type in ACTIVATIONS
    ]
    return len(found)


def separate_normalised_readers(loaded: LoadedProgram) -> int:
    """batch_norm -> ReLU and others, with a copy in front of the ReLU.

    The conversion to `offline` fuses the two without looking for other readers. These then read a tensor that
    nothing writes, and the predictor dies.
    """
    found = [
        fence(block, op, op.input("X")[0])
        for block, op in operators(loaded, "relu")
        if (source := writer(block, op.input("X")[0])) is not None
        and source.type == "batch_norm"
        and len(readers(block, op.input("X")[0])) > 1
    ]
    return len(found)


def order_operands(loaded: LoadedProgram) -> int:
    """convolution or pooling -> product, with a copy between.

    The kernels of the former interleave the channels, and oneDNN's product takes its operands for plain rows.
    A tensor that a loop has changed is left alone: it has several writers, so that its order is unknown.
    """
    matched, written = 0, writers(loaded.program.global_block())
    for block, op in [pair for kind in ("mul", *PRODUCTS) for pair in operators(loaded, kind)]:
        for name in dict.fromkeys(op.input_arg_names):
            if len(variable_of(block, name).shape) >= LEAST_RANK and is_laid_out(written, name, _lays_out):
                fence(block, op, name)
                matched += 1
    return matched


def separate_equal_factors(loaded: LoadedProgram) -> int:
    """x times x, or times a multiple of x -> a copy of the one times a copy of the other.

    Paddle takes the factor of a multiple into the product, and quantizes inputs by their names, and each name
    once. Both inputs become copies because the predictor of `qdq` knows the sign of x but not that of a copy,
    and refuses to multiply two tensors whose signs differ.
    """
    block = loaded.program.global_block()
    found = [
        op
        for op in block.ops
        if op.type in PRODUCTS and _unscaled(block, op.input("X")[0]) == _unscaled(block, op.input("Y")[0])
    ]
    for op in found:
        for slot in ("X", "Y"):
            (source,) = op.input(slot)
            first = writer(block, source)
            if slot == "Y" or first is None or first.type != "assign":
                set_input(op, slot, [_copy(block, op, source, slot)])
    return len(found)


def separate_exchanged_factors(loaded: LoadedProgram) -> int:
    """x times y, where others have y as the first factor and x as the second -> a copy of x times y.

    `gpu_cpu_map_matmul_v2_to_matmul_pass` finds such a product twice, replaces it, and then reads what is no
    longer there: the process may end with SIGSEGV when a predictor opens the model, in FP32 too.
    """
    block, matched = loaded.program.global_block(), 0
    found = [op for op in block.ops if op.type in PRODUCTS]
    firsts, seconds = ({op.input(slot)[0] for op in found} for slot in ("X", "Y"))
    for op in found:
        (first,), (second,) = op.input("X"), op.input("Y")
        if first != second and first in seconds and second in firsts:
            fence(block, op, first)
            matched += 1
    return matched


def sign_factors(loaded: LoadedProgram) -> int:
    """A product with a rectified factor -> the product with a copy of it.

    The predictor of `qdq` reads a rectified tensor as unsigned bytes. Its kernels take no such second factor
    without AMX, and no two factors of which one is signed. It does not know the sign of a copy.
    """
    block = loaded.program.global_block()
    unsigned = unsigned_tensors(block, fused=False, passing=SIGN_KNOWN)
    found = [
        fence(block, op, name)
        for op in [op for op in block.ops if op.type in PRODUCTS]
        if not any(variable_of(block, name).persistable for name in op.input("X") + op.input("Y"))
        for name in dict.fromkeys(op.input("X") + op.input("Y"))
        if name in unsigned
    ]
    return len(found)


def separate_equal_parts(loaded: LoadedProgram) -> int:
    """concat of x, x and others -> of x, a copy of x and others.

    Paddle quantizes inputs by their names, and each name once: the other x reaches the INT8 kernel in FP32.
    """
    matched = 0
    for block, op in operators(loaded, "concat"):
        names = op.input("X")
        again = [name in names[:place] for place, name in enumerate(names)]
        if any(again):
            copies = [
                _copy(block, op, name, f"copy{place}") if is_again else name
                for place, (name, is_again) in enumerate(zip(names, again, strict=True))
            ]
            set_input(op, "X", copies)
            matched += 1
    return matched


def put_repeated_operands_second(loaded: LoadedProgram) -> int:
    """x + y, where y has more elements, so that x is repeated -> y + x.

    oneDNN wants the larger operand first, and Paddle exchanges them. In INT8 it leaves their scales where
    they were, so that each is read with the other's.
    """
    matched = 0
    for block, add in operators(loaded, "elementwise_add"):
        first, second = add.input("X")[0], add.input("Y")[0]
        shape, other = (list(variable_of(block, name).shape) for name in (first, second))
        same_places = add.attr("axis") == -1 or len(shape) == len(other)
        if same_places and _is_broadcast(shape, other) and _elements(shape) < _elements(other):
            set_input(add, "X", [second])
            set_input(add, "Y", [first])
            matched += 1
    return matched


def separate_reshaped_factors(loaded: LoadedProgram) -> int:
    """reshape2 -> transpose2, times what the reshape2 writes -> a copy in front of the transpose2.

    The conversion to `offline` fuses the two into the product, which then reads as its other factor what
    nothing writes: the predictor dies.
    """
    block, matched = loaded.program.global_block(), 0
    for op in [op for op in block.ops if op.type in PRODUCTS]:
        factors = op.input("X") + op.input("Y")
        for transpose in [writer(block, name) for name in factors]:
            if transpose is None or transpose.type != "transpose2" or transpose.input("X")[0] not in factors:
                continue
            reshape = writer(block, transpose.input("X")[0])
            if reshape is not None and reshape.type == "reshape2":
                fence(block, transpose, transpose.input("X")[0])
                matched += 1
    return matched


def separate_broadcast_products(loaded: LoadedProgram) -> int:
    """product + a larger tensor -> the same with a copy of the product between.

    Paddle fuses the sum into the product, whose kernel writes as many values as the product has.
    """
    matched = 0
    for block, add in operators(loaded, "elementwise_add"):
        for name, other in zip(add.input("X") + add.input("Y"), add.input("Y") + add.input("X"), strict=True):
            source = writer(block, name)
            while source is not None and source.type == "scale":  # the product takes the factor in first
                source = writer(block, source.input("X")[0])
            shapes = (variable_of(block, each).shape for each in (name, other))
            if source is not None and source.type in PRODUCTS and _is_broadcast(*shapes):
                fence(block, add, name)
                matched += 1
    return matched


def separate_repeated_rows(loaded: LoadedProgram) -> int:
    """conv2d_transpose -> sum, product and the like with one row for all rows, with a copy between.

    Where two operands of four dimensions differ in their height alone, Paddle joins samples and channels into
    one dimension. The blocks in which a transposed convolution writes its channels cannot be joined: "could
    not reshape a memory descriptor". A parameter for one sample meets a batch of one sample, too.
    Source: the workaround for U2++ in `BinaryOneDNNHandler` of Paddle 2.6.
    """
    block = loaded.program.global_block()
    written = writers(block)
    found = [
        fence(block, op, name)
        for op in [op for op in block.ops if op.type in ELEMENTWISE]
        if _may_differ_in_height_alone(
            *(variable_of(block, name).shape for name in op.input("X") + op.input("Y"))
        )
        for name in dict.fromkeys(op.input("X") + op.input("Y"))
        if is_laid_out(written, name, lambda source: source.type in TRANSPOSED)
    ]
    return len(found)


def _may_differ_in_height_alone(shape: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two shapes of four dimensions may be equal but for the third; -1 is any size."""
    if len(shape) != PICTURE_RANK or len(other) != PICTURE_RANK:
        return False
    return shape[2] != other[2] and all(
        ours == theirs or -1 in (ours, theirs)
        for place, (ours, theirs) in enumerate(zip(shape, other, strict=True))
        if place != 2
    )


def _is_broadcast(shape: Sequence[int], other: Sequence[int]) -> bool:
    """Whether a tensor of the first shape is repeated when it is added to one of the second."""
    missing = max(len(other) - len(shape), 0)
    return any(
        ours == 1 and theirs != 1
        for ours, theirs in zip(reversed([*[1] * missing, *shape]), reversed(other), strict=False)
    )


def _elements(shape: Sequence[int]) -> int:
    """The elements of a tensor with one sample."""
    return prod(max(size, 1) for size in shape)


def writers(block: Block) -> dict[str, list[Operator]]:
    """The operators that write each variable, by its name."""
    found: dict[str, list[Operator]] = {}
    for op in block.ops:
        for name in op.output_arg_names:
            found.setdefault(name, []).append(op)
    return found


def is_laid_out(
    written: Mapping[str, list[Operator]],
    name: str,
    lays_out: Callable[[Operator], bool],
    passing: frozenset[str] = frozenset(),
) -> bool:
    """Whether the order in which an operator writes may reach `name`.

    written: see `writers`. lays_out: whether an operator has an order of its own. passing: operators that
    count as if they passed it on, though they write plain order.
    """
    waiting, seen = [name], set()
    while waiting:
        target = waiting.pop()
        sources = written.get(target, [])
        if len(sources) != 1 or sources[0].type in PLAIN - passing or target in seen:
            continue
        if lays_out(sources[0]):
            return True
        if sources[0].type in CONVOLVED:
            continue
        seen.add(target)
        waiting += sources[0].input_arg_names
    return False


def fence(block: Block, op: Operator, source: str) -> str:
    """Makes `op` read a copy of `source`; returns the copy's name."""
    copy = _copy(block, op, source, "copy")
    rename_input(op, source, copy)
    return copy


def _unscaled(block: Block, name: str) -> str:
    """The tensor that `name` is a multiple of; `name` itself where no factor wrote it."""
    source = writer(block, name)
    while source is not None and source.type == "scale" and source.attr("bias") == 0:
        (name,) = source.input("X")
        source = writer(block, name)
    return name


def _lays_out(op: Operator) -> bool:
    return op.type in LAID_OUT


def _copy(block: Block, op: Operator, source: str, suffix: str) -> str:
    """The name of a copy of `source`, made in front of `op`."""
    copy = f"{source}.{op.output_arg_names[0]}.{suffix}"
    block.create_var(name=copy, shape=block.var(source).shape, dtype=block.var(source).dtype)
    insert_operator(
        block, position(block, op), type="assign", inputs={"X": [source]}, outputs={"Out": [copy]}
    )
    return copy
