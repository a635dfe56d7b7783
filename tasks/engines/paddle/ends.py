"""Finds which inputs of a program are read, and which operators compute its outputs.

Imports Paddle for the program's format, so only functions of the isolated process import this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.program import parse_program

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Slot, StoredOperator

TRANSPARENT = frozenset(
    {
        "assign",
        "cast",
        "flatten2",
        "flatten_contiguous_range",
        "reshape",
        "reshape2",
        "scale",
        "share_data",
        "squeeze2",
        "transpose2",
        "unsqueeze2",
    }
)
"""Operators that only write the values of their input in another form."""
BIASED = frozenset({"elementwise_add", "elementwise_mul", "elementwise_sub"})
"""Operators that count as transparent where the other operand is a parameter."""

SHAPE_ALONE = frozenset(
    {"fill_any_like", "fill_constant_batch_size_like", "fill_zeros_like", "shape", "size"}
)
"""Operators that read the shape of their input, and none of its values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What is known of a program's inputs and outputs.

    operators: the operator that computes each output, by the output's name.
    constant: outputs that depend on no input's values. None is found in a program with loops or branches.
    unread: inputs that nothing reads.
    """

    operators: dict[str, str]
    constant: frozenset[str]
    unread: tuple[str, ...]


def ends(program: Path) -> Ends:
    """The inputs and outputs of `program`. Raises: ModelFormatError when it is no inference program."""
    desc = parse_program(program.read_bytes(), program)
    block = desc.blocks[0]
    makers = {name: op for op in block.ops for name in _names(op.outputs)}
    parameters = {var.name for var in block.vars if var.persistable}
    read = {name for each in desc.blocks for op in each.ops for name in _names(op.inputs)}
    outputs = [name for op in block.ops if op.type == "fetch" for name in _names(op.inputs)]
    inputs = [name for op in block.ops if op.type == "feed" for name in _names(op.outputs)]
    straight = len(desc.blocks) == 1
    return Ends(
        operators={name: _end(name, makers, parameters) for name in outputs},
        constant=frozenset(name for name in outputs if straight and not _reached(name, makers) & set(inputs)),
        unread=tuple(sorted(set(inputs) - read)),
    )


def _end(name: str, makers: Mapping[str, StoredOperator], parameters: set[str]) -> str:
    """The operator behind `name`, past those that only rewrite its form; "" for what nothing makes."""
    seen: set[str] = set()
    while name in makers and name not in seen:
        seen.add(name)
        op = makers[name]
        if _is_log_softmax(op, makers):
            return "log_softmax"
        computed = [each for each in _names(op.inputs, main=True) if each not in parameters]
        transparent = op.type in TRANSPARENT or (op.type in BIASED and len(computed) == 1)
        if not transparent or not computed:
            return str(op.type)
        name = computed[0]
    return ""


def _is_log_softmax(op: StoredOperator, makers: Mapping[str, StoredOperator]) -> bool:
    """Whether `op` is x - logsumexp(x), the form that `subtract_logarithms` gives to `log_softmax`."""
    if op.type != "elementwise_sub":
        return False
    (source,), (subtracted,) = (
        [name for slot in op.inputs if slot.parameter == parameter for name in slot.arguments]
        for parameter in ("X", "Y")
    )
    maker = makers.get(subtracted)
    return maker is not None and maker.type == "logsumexp" and _names(maker.inputs, main=True) == [source]


def _reached(name: str, makers: Mapping[str, StoredOperator]) -> set[str]:
    """Every tensor whose values `name` is computed from."""
    reached, left = set[str](), [name]
    while left:
        if (each := left.pop()) not in reached:
            reached.add(each)
            if each in makers and makers[each].type not in SHAPE_ALONE:
                left += _names(makers[each].inputs)
    return reached


def _names(slots: Iterable[Slot], *, main: bool = False) -> list[str]:
    """The tensors in `slots`. main: only the data, without tensors that hold a shape or a factor."""
    return [
        name for slot in slots if not main or slot.parameter in ("X", "Y", "Input") for name in slot.arguments
    ]
