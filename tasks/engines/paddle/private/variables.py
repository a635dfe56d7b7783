"""The variables of a program. Isolated process only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.private import raw

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, DataType, Variable


def variable_of(block: Block, name: str) -> Variable:
    """The variable, which may be one of a block around this one. Raises: ValueError when there is none."""
    found: Variable = raw(block)._var_recursive(name)
    return found


def find_variable(block: Block, name: str) -> Variable | None:
    """The variable that `variable_of` returns, or None when there is none."""
    found: Variable | None = raw(block)._find_var_recursive(name)
    return found


def remove_variable(block: Block, name: str) -> None:
    raw(block)._remove_var(name)


def rename_variable(block: Block, old: str, new: str) -> None:
    raw(block)._rename_var(old, new)


def set_data_type(variable: Variable, dtype: DataType) -> None:
    raw(variable).desc.set_dtype(dtype)


def set_shape(variable: Variable, shape: Sequence[int]) -> None:
    """Corrects what a program says of a variable's shape before it runs."""
    raw(variable).desc.set_shape(list(shape))


def create_tensor_array(block: Block, name: str, dtype: DataType, shape: Sequence[int]) -> None:
    """A variable that holds a list of tensors, each of this shape."""
    from paddle.base.core import VarDesc

    raw(block).create_var(name=name, dtype=dtype, shape=list(shape), type=VarDesc.VarType.LOD_TENSOR_ARRAY)


def create_scopes(block: Block, name: str) -> str:
    """A variable that keeps the scopes of a loop or a branch; returns its name."""
    from paddle.base.core import VarDesc

    raw(block).create_var(name=name, type=VarDesc.VarType.STEP_SCOPES)
    return name


def is_dense(variable: Variable) -> bool:
    """Whether the variable is a tensor: no list of tensors, no feed and no reader."""
    from paddle.base.core import VarDesc

    return bool(raw(variable).type == VarDesc.VarType.LOD_TENSOR)


def holds_numbers(variable: Variable) -> bool:
    """Whether the variable is a tensor, a sparse one, or a list of tensors."""
    from paddle.base.core import VarDesc

    kinds = VarDesc.VarType
    return raw(variable).type in (kinds.LOD_TENSOR, kinds.SELECTED_ROWS, kinds.LOD_TENSOR_ARRAY)


def make_parameter(block: Block, variable: Variable) -> Variable:
    """A trainable parameter that replaces `variable` in its block."""
    from paddle.base.framework import Parameter

    made: Variable = Parameter(
        block, shape=list(variable.shape), dtype=variable.dtype, name=variable.name, trainable=True
    )
    block.vars[variable.name] = made
    return made


def name_of_type(dtype: DataType) -> str:
    """NumPy's name of a data type, `float32`."""
    from paddle.base.data_feeder import convert_dtype

    return str(convert_dtype(dtype))
