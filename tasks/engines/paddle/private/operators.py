"""The operators of a program. Isolated process only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.private import raw

if TYPE_CHECKING:
    from paddle.base.framework import OpProtoHolder

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


def append_operator(
    block: Block,
    *,
    type: str,
    inputs: Mapping[str, Sequence[str]],
    outputs: Mapping[str, Sequence[str]],
    attrs: Mapping[str, object],
) -> Operator:
    """Makes an operator the block's last one, and infers the shapes of its outputs.

    Raises: RuntimeError, ValueError, TypeError or AssertionError when Paddle does not take it.
    """
    made: Operator = raw(block).append_op(
        type=type,
        inputs={slot: list(names) for slot, names in inputs.items()},
        outputs={
            slot: [raw(block)._var_recursive(name) for name in names] for slot, names in outputs.items()
        },
        attrs=dict(attrs),
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


def attribute_kinds(kind: str) -> dict[str, str]:
    """The attributes that operators of this type can have, each with its type's name in framework.proto."""
    from paddle.base import core
    from paddle.base.proto import framework_pb2

    extra = core.get_op_extra_attrs(kind)
    declared = {
        attribute.name: str(framework_pb2.AttrType.Name(attribute.type))
        for attribute in _declarations().get_op_proto(kind).attrs
    }
    return {name: _kind_of(value) for name, value in extra.items()} | declared


def _kind_of(value: object) -> str:
    """The type of an attribute that is known by its default alone."""
    names = {bool: "BOOLEAN", int: "INT", float: "FLOAT", str: "STRING"}
    if isinstance(value, list):
        return f"{names[type(value[0])]}S" if value else "INTS"
    return names.get(type(value), "")


def required_outputs(kind: str) -> list[tuple[str, bool]]:
    """The output slots without which operators of this type are refused; True for those of many tensors."""
    outputs = _declarations().get_op_proto(kind).outputs
    return [(output.name, output.duplicable) for output in outputs if not output.dispensable]


def scalar(value: float) -> object:
    """A number as attributes of type SCALAR take it."""
    from paddle.base.framework import wrap_as_scalar

    wrapped: object = wrap_as_scalar(value)
    return wrapped


def declared_outputs(kind: str) -> list[tuple[str, bool]]:
    """The output slots of operators of this type, each with whether only gradients need it."""
    return [(output.name, output.intermediate) for output in _declarations().get_op_proto(kind).outputs]


def is_known(kind: str) -> bool:
    """Whether this Paddle has such an operator."""
    return bool(_declarations().has_op_proto(kind))


def _declarations() -> OpProtoHolder:
    from paddle.base.framework import OpProtoHolder

    return OpProtoHolder.instance()
