"""A digest of what a saved model computes: its operators, attributes and parameters.

The files themselves differ from run to run (Paddle writes call stacks and unordered messages into
them), their content does not.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.files import MODEL_FILENAME, PARAMS_FILENAME, ModelFormat, ModelSource
from paddle_int8.tasks.engines.paddle.params import check_params, expected_headers
from paddle_int8.tasks.store.folder import file_digest

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import StoredOperator

NOT_COMPUTED = frozenset({"op_callstack", "op_namescope", "op_device", "op_role", "op_role_var"})
"""Attributes that say where an operator came from, not what it does."""


def program_digest(
    folder: Path, model_filename: str = MODEL_FILENAME, params_filename: str = PARAMS_FILENAME
) -> str:
    """SHA-256 over the operators in order, with variable names, and over every parameter's bytes.

    Raises: ModelFormatError when a file is truncated or the two don't belong together.
    """
    from paddle_int8.tasks.engines.paddle.program import parse_program

    program, params = folder / model_filename, folder / params_filename
    desc = parse_program(program.read_bytes(), program)
    expected = expected_headers(desc)
    source = ModelSource(format=ModelFormat.COMBINED, program=program, params=params, source_digest="")
    check_params(source, expected, strict=False)
    digest = hashlib.sha256()
    for block in desc.blocks:
        for op in block.ops:
            digest.update(_operator(op).encode())
    digest.update("\0".join(expected).encode())
    digest.update(file_digest(params).encode())
    return digest.hexdigest()


def _operator(op: StoredOperator) -> str:
    inputs = sorted((slot.parameter, *slot.arguments) for slot in op.inputs if slot.arguments)
    outputs = sorted((slot.parameter, *slot.arguments) for slot in op.outputs if slot.arguments)
    attributes = sorted(
        attr.SerializeToString(deterministic=True).hex() for attr in op.attrs if attr.name not in NOT_COMPUTED
    )
    return f"{op.type}\0{inputs}\0{outputs}\0{attributes}\n"
