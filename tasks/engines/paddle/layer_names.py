"""The names of a program's operators in the user's network. Isolated process only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from paddle_int8.tasks.contracts.operators import NamedOperator, select
from paddle_int8.tasks.engines.paddle.private.variables import find_variable
from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import ENDS, keep_named_fp32

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Operator

PARAMETER = re.compile(r"[._](w|b|weights?|bias|offset|scale|mean|variance)(_\d+)?(_deepcopy_\d+)*$")
"""What Paddle and its model collections put behind a layer's name: `conv2d_3.w_0`, `conv1_weights`."""


def named_operators(loaded: LoadedProgram) -> tuple[NamedOperator, ...]:
    """The operators of the main block in their order, without those that feed and fetch."""
    return tuple(named(op) for op in loaded.program.global_block().ops if op.type not in ENDS)


def named(op: Operator) -> NamedOperator:
    stored = [name for name in op.input_arg_names if _is_stored(op, name)]
    writes = tuple(op.output_arg_names)
    return NamedOperator(
        layer=PARAMETER.sub("", stored[0]) if stored else (*writes, op.type)[0],
        type=op.type,
        reads=tuple(name for name in op.input_arg_names if name not in stored),
        writes=writes,
    )


def keep_layers_fp32(loaded: LoadedProgram, patterns: Sequence[str]) -> None:
    """Has PaddleSlim and every layout leave the operators alone that `patterns` mean.

    Raises: ConfigError when a pattern means no operator.
    """
    keep_named_fp32(loaded, [op.writes[0] for op in select(named_operators(loaded), patterns) if op.writes])


def _is_stored(op: Operator, name: str) -> bool:
    variable = find_variable(op.block, name)
    return variable is not None and variable.persistable
