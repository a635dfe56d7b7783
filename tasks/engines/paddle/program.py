"""A Paddle program with its parameters in memory: read from and written to files.

Imports Paddle, so only functions of the isolated process import this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy  # noqa: F401 - libpaddle exports zlib: imported before numpy it crashes the interpreter
import paddle
from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # ships no stubs

from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.contracts.errors import ModelFormatError, storage_error
from paddle_int8.tasks.engines.paddle.blocks import tensor_of
from paddle_int8.tasks.engines.paddle.files import MODEL_FILENAME, PARAMS_FILENAME, ModelSource
from paddle_int8.tasks.engines.paddle.params import COPY_AGAIN, check_params, expected_headers
from paddle_int8.tasks.engines.paddle.private.guard import require_tested_paddle
from paddle_int8.tasks.engines.paddle.private.operators import is_known
from paddle_int8.tasks.engines.paddle.private.programs import (
    feed_names,
    fetch_names,
    load_parameters,
    parameter_names,
    parse,
    serialized,
)
from paddle_int8.tasks.engines.paddle.private.variables import name_of_type
from paddle_int8.tasks.engines.paddle.written_params import write_params

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Program, Scope, StoredProgram


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedProgram:
    """A `paddle.static.Program` and the `Scope` that holds its parameters."""

    program: Program
    scope: Scope
    feeds: tuple[str, ...]
    fetches: tuple[str, ...]


def load_program(source: ModelSource, *, quantized: bool = False) -> LoadedProgram:
    """Reads `source`, checking all of it that can be checked before native code sees it.

    Raises: ModelFormatError when it is truncated, not a Paddle program, has no inputs or outputs, uses
    unknown operators, or its parameters don't match.
    """
    paddle.enable_static()
    data = source.readable.read_bytes()
    desc = parse_program(data, source.program)
    check_params(source, expected_headers(desc), strict=not quantized)
    scope = paddle.static.Scope()
    folder = source.program.parent if source.params is None else source.params.parent
    try:
        program = paddle.static.deserialize_program(data)
        with paddle.static.scope_guard(scope):
            load_parameters(program, folder, None if source.params is None else source.params.name)
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelFormatError(
            found=f"Paddle cannot load {source.program}: {error}",
            required=f"a model that Paddle {paddle.__version__} can load",
            remedy=COPY_AGAIN,
        ) from error
    return LoadedProgram(
        program=program,
        scope=scope,
        feeds=feed_names(program),
        fetches=fetch_names(program),
    )


def parse_program(data: bytes, path: Path) -> StoredProgram:
    """The ProgramDesc message in `data`, proven to be an inference program.

    Raises: ModelFormatError, naming `path`; InstallationError for a Paddle that was not tested.
    """
    require_tested_paddle()
    try:
        desc = parse(data)
    except DecodeError as error:
        raise _not_a_program(f"{path} is truncated or not a Paddle program ({error})") from error
    if not desc.blocks or not desc.blocks[0].ops:
        raise _not_a_program(f"{path} is not a Paddle program: it holds no operators")
    types = {op.type for block in desc.blocks for op in block.ops}
    if missing := {"feed", "fetch"} - types:
        raise ModelFormatError(
            found=f"{path} has no {' and no '.join(sorted(missing))} operator",
            required="an inference program, with inputs and outputs",
            remedy="export the model with `paddle.jit.save` or `paddle.static.save_inference_model`",
        )
    if unknown := sorted(name for name in types if not is_known(name)):
        raise ModelFormatError(
            found=f"{path} uses operators that Paddle {paddle.__version__} lacks: {', '.join(unknown)}",
            required="operators of this Paddle version",
            remedy="export the model with Paddle 2.6, and without custom operators",
        )
    return desc


def save_program(
    loaded: LoadedProgram,
    folder: Path,
    *,
    model_filename: str = MODEL_FILENAME,
    params_filename: str = PARAMS_FILENAME,
) -> None:
    """Writes `loaded` into `folder`, with every attribute and every name.

    Raises: StorageError when the files could not be written whole.

    `paddle.static.save_inference_model` is not used: each call appends a `scale` operator to every output
    and renames it, and by default it clips the attributes that oneDNN's operators need.
    """
    tensors = (tensor_of(loaded.scope, name) for name in parameter_names(loaded.program))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / model_filename).write_bytes(serialized(loaded.program))
        write_params(folder / params_filename, tensors)
    except OSError as error:
        raise storage_error(error, folder) from error


def tensor_specs(program: Program, names: tuple[str, ...]) -> tuple[TensorSpec, ...]:
    """Name, shape and NumPy dtype name of each variable in `names`.

    Raises: ModelFormatError for sequences of sequences.
    """
    variables = [program.global_block().var(name) for name in names]
    if nested := [var.name for var in variables if var.lod_level > 1]:
        raise ModelFormatError(
            found=f"sequences of sequences: {', '.join(nested)} of LoD level 2 or more",
            required="LoD level 0 or 1",
            remedy="export the model with one level of sequences",
        )
    return tuple(
        TensorSpec(
            name=var.name,
            shape=tuple(int(dim) for dim in var.shape),
            dtype=name_of_type(var.dtype),
            sequence=var.lod_level == 1,
        )
        for var in variables
    )


def _not_a_program(found: str) -> ModelFormatError:
    return ModelFormatError(
        found=found, required="a whole ProgramDesc, as Paddle saves it", remedy=COPY_AGAIN
    )
