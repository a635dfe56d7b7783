"""Rewrites operators that oneDNN computes wrongly, so that Paddle's own kernels run them.

A program cannot keep an operator off oneDNN: Paddle marks every operator that has a kernel there, each time
that it opens the program. So the operator gets a form that has no such kernel. Baseline, layouts and bundle
share this form. Isolated process only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.engines.paddle.blocks import hide_from_slim, operators, position
from paddle_int8.tasks.engines.paddle.private.operators import (
    insert_operator,
    rename_input,
    rename_output,
    set_attribute,
    set_input,
    set_type,
)
from paddle_int8.tasks.engines.paddle.private.variables import find_variable, variable_of
from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import keep_fp32, pooled_size
from paddle_int8.tasks.engines.paddle.rewrites.products import ACTIVATIONS

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

RESAMPLING = {"nearest_interp": "bicubic_interp", "nearest_interp_v2": "bicubic_interp_v2"}
"""For each operator, one that runs the same kernel in Paddle, by its `interp_method`, and none in oneDNN."""
SIZE_INPUTS = ("OutSize", "SizeTensor", "Scale")
LONGEST = 1024
"""The longest side that is tried where a side can have any length."""
MOST_LOGSUMEXP_DIMENSIONS = 4
"""Paddle's `logsumexp` takes no more."""
OF_ONE_TENSOR = ACTIVATIONS | {"elu", "exp", "round", "scale", "softplus"}
MOST_NORMALISED_DIMENSIONS = 5
SURE_THRESHOLD = 15.0
"""From here on, x and ln(1 + exp(x)) are one number in FP32."""
NEVER_MOVED = frozenset({"feed", "fetch", "while", "conditional_block", "cast", "assign"})


def resample_natively(loaded: LoadedProgram) -> int:
    """`nearest` resizing -> Paddle's own kernel, except where a size grows by a whole factor.

    For output pixel i Paddle takes pixel floor(i * ratio), and oneDNN the pixel whose centre is nearest.
    oneDNN does not know `align_corners` either.
    """
    return sum(_resample(block, op) for kind in RESAMPLING for block, op in operators(loaded, kind))


def divide_by_reciprocals(loaded: LoadedProgram) -> int:
    """a / b -> a * (1 / b), where `a` may be the smaller tensor.

    oneDNN's kernel then swaps the two, which changes a quotient and not a product.
    """
    matched = 0
    for block, op in operators(loaded, "elementwise_div"):
        (numerator,), (denominator,) = op.input("X"), op.input("Y")
        if not _is_float(block, denominator) or _covers(
            variable_of(block, numerator).shape, variable_of(block, denominator).shape, op.attr("axis")
        ):
            continue
        target = f"{op.output('Out')[0]}.reciprocal"
        block.create_var(name=target, shape=variable_of(block, denominator).shape, dtype="float32")
        insert_operator(
            block,
            position(block, op),
            type="reciprocal",
            inputs={"X": [denominator]},
            outputs={"Out": [target]},
        )
        set_type(op, "elementwise_mul")
        set_input(op, "Y", [target])
        keep_fp32(op)
        matched += 1
    return matched


def subtract_logarithms(loaded: LoadedProgram) -> int:
    """log_softmax(x) -> x - logsumexp(x), for up to four dimensions.

    Paddle's own kernel lets no value fall below -64, while oneDNN's does, and is right. So the two differ for
    scores that lie further apart. On 80 rows of 6,625 scores Paddle's kernel also takes some sixty times as
    long as this form.
    """
    found = [
        pair
        for pair in operators(loaded, "log_softmax")
        if len(variable_of(pair[0], pair[1].input("X")[0]).shape) <= MOST_LOGSUMEXP_DIMENSIONS
    ]
    for block, op in found:
        (source,) = op.input("X")
        given, target = variable_of(block, source), f"{op.output('Out')[0]}.logarithm"
        axis = op.attr("axis") % len(given.shape)
        shape = [1 if index == axis else size for index, size in enumerate(given.shape)]
        block.create_var(name=target, shape=shape, dtype="float32")
        insert_operator(
            block,
            position(block, op),
            type="logsumexp",
            inputs={"X": [source]},
            outputs={"Out": [target]},
            attrs={"axis": [axis], "keepdim": True},
        )
        set_type(op, "elementwise_sub")
        set_input(op, "Y", [target])
        set_attribute(op, "axis", -1)
    return len(found)


def compute_wrong_kernels_natively(loaded: LoadedProgram) -> int:
    """Makes Paddle's own kernels run the operators that oneDNN gets wrong.

    They are poolings and activations with attributes that oneDNN ignores or misreads, and what it has no
    kernels for: functions of a tensor without dimensions, and layer normalisation of one with six or more.
    """
    kinds = sorted(WRONG.keys() | OF_ONE_TENSOR)
    found = [pair for kind in kinds for pair in operators(loaded, kind) if _is_wrong(*pair)]
    return sum(_compute_in_double(block, op) for block, op in found)


def compute_natively(loaded: LoadedProgram, kinds: Collection[str]) -> int:
    """Makes Paddle's own kernels run every operator of these types. In loops and branches they do so anyway.

    Raises: ModelFormatError when the program has none of a type.
    """
    movable = {op.type for block in loaded.program.blocks for op in block.ops} - NEVER_MOVED
    if unknown := sorted(set(kinds) - movable):
        raise ModelFormatError(
            found=f"`conversion.native_ops` names {', '.join(unknown)}, which the model does not have",
            required=f"operator types of the model: {', '.join(sorted(movable))}",
            remedy="correct `conversion.native_ops`",
        )
    block = loaded.program.global_block()
    return sum(_compute_in_double(block, op) for op in [op for op in block.ops if op.type in kinds])


def _resample(block: Block, op: Operator) -> bool:
    if _grows_by_whole_factors(block, op):
        return False
    set_type(op, RESAMPLING[op.type])
    return True


def _grows_by_whole_factors(block: Block, op: Operator) -> bool:
    """Whether Paddle and oneDNN surely take the same pixels."""
    if op.attr("align_corners") or op.attr("data_layout") not in ("NCHW", "NCDHW"):
        return False
    before, after = (variable_of(block, name).shape[2:] for name in (op.input("X")[0], op.output("Out")[0]))
    computed = any(slot in op.input_names and op.input(slot) for slot in SIZE_INPUTS)
    if min(*before, *after) > 0:
        return all(_takes_the_same(*pair) for pair in zip(before, after, strict=True))
    scale = op.attr("scale")
    factors = scale if isinstance(scale, list | tuple) else [scale]
    return not computed and bool(factors) and all(_is_whole(factor) for factor in factors)


def _is_whole(factor: float) -> bool:
    return factor >= 1 and factor.is_integer() and _takes_the_same(LONGEST, LONGEST * int(factor))


def _takes_the_same(before: int, after: int) -> bool:
    steps = np.arange(after, dtype=np.float32)
    native = np.floor(steps * np.float32(before / after))
    onednn = np.round((steps + np.float32(0.5)) * np.float32(before) / np.float32(after) - np.float32(0.5))
    return after % before == 0 and bool(np.array_equal(native, onednn))


def _covers(numerator: Sequence[int], denominator: Sequence[int], axis: int) -> bool:
    """Whether the first of two shapes surely has at least as many elements; -1 is any size."""
    if len(numerator) < len(denominator):
        return False
    start = len(numerator) - len(denominator) if axis == -1 else axis
    along = numerator[start : start + len(denominator)]
    return all(right in (1, left) for left, right in zip(along, denominator, strict=False))


def _pools_otherwise(block: Block, pool: Operator) -> bool:
    """Whether oneDNN has no kernel for a pooling, or divides the sum of a window by a wrong number.

    It has none for windows that hold padding alone. It divides wrongly in an average that counts the padding,
    if windows reach further than the padding, or further on one side.
    """
    if pool.attr("adaptive") or pool.attr("global_pooling"):
        return False
    same, sides = pool.attr("padding_algorithm") == "SAME", _sides(block, pool)
    if not same and any(_holds_padding_alone(side) for side in sides):
        return True
    if pool.attr("pooling_type") != "avg" or pool.attr("exclusive"):
        return False
    return same or any(side.before != side.after or _reaches_beyond(side) for side in sides)


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a pooled picture: its length, 0 or less where free, the padding before and after it, the
    window and its steps, and whether a window that begins in it may end beyond it."""

    length: int
    before: int
    after: int
    window: int
    stride: int
    ceil: bool


def _sides(block: Block, pool: Operator) -> list[_Side]:
    window, padding = list(pool.attr("ksize")), list(pool.attr("paddings"))
    pairs = zip(
        *([padding] * 2 if len(padding) == len(window) else [padding[::2], padding[1::2]]), strict=True
    )
    lengths = pooled_size(block, pool)
    return [
        _Side(length, before, after, kernel, stride, bool(pool.attr("ceil_mode")))
        for length, (before, after), kernel, stride in zip(
            lengths, pairs, window, pool.attr("strides"), strict=True
        )
    ]


def _holds_padding_alone(side: _Side) -> bool:
    """Whether the first window ends before the picture begins, or the last one begins behind it."""
    if side.before >= side.window:
        return True
    if side.length <= 0:
        return side.after >= side.window or (side.ceil and side.stride + side.after > side.window)
    rest = side.length + side.before + side.after - side.window
    steps = -(-rest // side.stride) if side.ceil else int(rest / side.stride)  # as C++ divides
    return steps * side.stride - side.before >= side.length


def _reaches_beyond(side: _Side) -> bool:
    """Whether windows may end behind the padding."""
    if side.length <= 0:
        return side.ceil
    rest = side.length + side.before + side.after - side.window
    return rest < 0 or (side.ceil and rest % side.stride != 0)


def _has_low_threshold(block: Block, op: Operator) -> bool:
    """Whether the function is the identity from a threshold on that matters: oneDNN's kernels ignore it."""
    return bool(op.has_attr("threshold") and op.attr("threshold") < SURE_THRESHOLD)


def _has_computed_bounds(block: Block, op: Operator) -> bool:
    """Whether bounds are computed. When Paddle fuses `clip` into a layer it uses the stored bounds only."""
    return any(slot in op.input_names and op.input(slot) for slot in ("Min", "Max"))


def _always(block: Block, op: Operator) -> bool:
    """True, for every operator of this type: oneDNN's kernel writes beyond its memory, and the process hangs
    or ends."""
    return True


def _has_many_dimensions(block: Block, op: Operator) -> bool:
    """Whether the input of a layer normalisation has more dimensions than oneDNN's kernel takes."""
    return len(variable_of(block, op.input("X")[0]).shape) > MOST_NORMALISED_DIMENSIONS


WRONG: dict[str, Callable[[Block, Operator], bool]] = {
    "pool2d": _pools_otherwise,
    "pool3d": _pools_otherwise,
    "pad": _always,
    "clip": _has_computed_bounds,
    "softplus": _has_low_threshold,
    "mish": _has_low_threshold,
    "layer_norm": _has_many_dimensions,
}
"""For each type of operator, a test whether oneDNN gets one of them wrong."""


def _is_wrong(block: Block, op: Operator) -> bool:
    if op.type in OF_ONE_TENSOR and not variable_of(block, op.input("X")[0]).shape:
        return True
    return op.type in WRONG and WRONG[op.type](block, op)


def _compute_in_double(block: Block, op: Operator) -> bool:
    """Puts `op` between casts to FP64, for which oneDNN has no kernels, and back."""
    for name in dict.fromkeys(op.input_arg_names):
        if _is_float(block, name):
            target = f"{op.output_arg_names[0]}.{name}.double"
            _cast(block, position(block, op), name, target, to_double=True)
            rename_input(op, name, target)
    for name in dict.fromkeys(op.output_arg_names):
        if _is_float(block, name):
            source = f"{name}.double"
            rename_output(op, name, source)
            _cast(block, position(block, op) + 1, source, name, to_double=False)
    keep_fp32(op)
    hide_from_slim(op)
    return True


def _cast(block: Block, index: int, source: str, target: str, *, to_double: bool) -> None:
    import paddle

    single, double = paddle.float32, paddle.float64
    known, new = (source, target) if to_double else (target, source)
    given = variable_of(block, known)
    block.create_var(name=new, shape=given.shape, dtype="float64", lod_level=given.lod_level)
    insert_operator(
        block,
        index,
        type="cast",
        inputs={"X": [source]},
        outputs={"Out": [target]},
        attrs={
            "in_dtype": int(single if to_double else double),
            "out_dtype": int(double if to_double else single),
        },
    )


def _is_float(block: Block, name: str) -> bool:
    import paddle

    variable = find_variable(block, name)
    return variable is not None and variable.dtype == paddle.float32
