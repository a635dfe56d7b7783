"""The operators of a program. Isolated process only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from paddle_int8.tasks.engines.paddle.private import raw

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, GraphOperator, Operator


def insert_operator(
    block: Block,
    index: int,
    *,
    type: str,
    inputs: Mapping[str, Sequence[object]],
    outputs: Mapping[str, Sequence[object]] | None = None,
    attrs: Mapping[str, object] | None = None,
) -> Operator:
    """Inserts an operator at position `index`. Inputs and outputs are names or variables, by slot."""
    made: Operator = raw(block)._insert_op(
        index, type=type, inputs=dict(inputs), outputs=dict(outputs or {}), attrs=dict(attrs or {})
    )
    return made


def remove_operator(block: Block, index: int) -> None:
    raw(block)._remove_op(index)


def set_type(op: Operator, type: str) -> None:
    raw(op).desc.set_type(type)


def set_input(op: Operator, slot: str, names: Sequence[str]) -> None:
    raw(op).desc.set_input(slot, list(names))


def set_output(op: Operator, slot: str, names: Sequence[str]) -> None:
    raw(op).desc.set_output(slot, list(names))


def rename_input(op: Operator, old: str, new: str) -> None:
    """Makes `op` read `new` wherever it read `old`."""
    raw(op).desc._rename_input(old, new)


def rename_output(op: Operator, old: str, new: str) -> None:
    raw(op).desc._rename_output(old, new)


def set_attribute(op: Operator | GraphOperator, name: str, value: object) -> None:
    raw(op)._set_attr(name, value)


def add_flag(op: Operator, name: str) -> None:
    """Gives `op` an attribute that is true, and that its type does not declare."""
    raw(op).desc._set_bool_attr(name, True)


def add_numbers(op: Operator, name: str, values: Sequence[float]) -> None:
    """Gives `op` an attribute of FP32 numbers that its type does not declare."""
    raw(op).desc._set_float32s_attr(name, list(values))


def declared_attributes(kind: str) -> set[str]:
    """Names of the attributes that operators of this type can have."""
    from paddle.base import core

    names = {attribute.name for attribute in _declarations().get_op_proto(kind).attrs}
    return names | set(core.get_op_extra_attrs(kind))


def declared_outputs(kind: str) -> list[tuple[str, bool]]:
    """The output slots of operators of this type, each with whether only gradients need it."""
    return [(output.name, output.intermediate) for output in _declarations().get_op_proto(kind).outputs]


def is_known(kind: str) -> bool:
    """Whether this Paddle has such an operator."""
    return bool(_declarations().has_op_proto(kind))


def _declarations() -> Any:
    from paddle.base.framework import OpProtoHolder

    return OpProtoHolder.instance()
