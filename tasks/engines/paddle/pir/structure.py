"""Operators that only say how values hang together, and what is left out. Isolated process only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.pir.program import Operation
    from paddle_int8.tasks.engines.paddle.pir.translation import Translation

FEEDS = frozenset({"pd_op.data", "pd_op.feed"})
FETCH = "pd_op.fetch"


def _combine(translation: Translation, operation: Operation) -> None:
    """Notes the members of a row, which is put together where it is read; see `Translation.rows`."""


def _split(translation: Translation, operation: Operation) -> None:
    """Names each tensor of a row by itself."""
    names = translation.row(operation.operands[0])
    for result, name in zip(operation.results, names, strict=True):
        translation.names[result.number] = name


def _slice(translation: Translation, operation: Operation) -> None:
    """Names one tensor of a row."""
    names = translation.row(operation.operands[0])
    translation.names[operation.results[0].number] = names[operation.attributes["index"]]


def _create_array(translation: Translation, operation: Operation) -> None:
    """A list of tensors is a variable, which the first operator that writes into it fills."""
    (result,) = operation.results
    translation.names[result.number] = translation.new("create_array", result.type)


def _leave_out(translation: Translation, operation: Operation) -> None:
    """Leaves out an operator that checks, prints or moves a value to the CPU; its result is the value."""
    for result, operand in zip(operation.results, operation.operands, strict=False):
        translation.names[result.number] = translation.name(operand)


STRUCTURE: Mapping[str, Callable[[Translation, Operation], None]] = {
    "builtin.combine": _combine,
    "builtin.split": _split,
    "builtin.slice": _slice,
    "pd_op.create_array": _create_array,
    "pd_op.assert": _leave_out,
    "pd_op.memcpy": _leave_out,
    "pd_op.print": _leave_out,
}
