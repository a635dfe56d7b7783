"""Programs as a whole, in memory and in files. Isolated process only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.private import raw
from paddle_int8.tasks.engines.paddle.private.variables import is_dense

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, Program, StoredProgram, TensorMessage, Variable


def feed_names(program: Program) -> tuple[str, ...]:
    return tuple(raw(program).desc.get_feed_target_names())


def fetch_names(program: Program) -> tuple[str, ...]:
    return tuple(raw(program).desc.get_fetch_target_names())


def append_fetches(program: Program, names: Sequence[str]) -> None:
    """Makes the variables `names` outputs of the program."""
    from paddle.static import io

    io.append_fetch_ops(program, list(names))


def prepend_feeds(program: Program, names: Sequence[str]) -> None:
    """Makes the variables `names` inputs of the program."""
    from paddle.static import io

    io.prepend_feed_ops(program, list(names))


def block_inside(program: Program, outer: Block) -> Block:
    """A new block for the body of a loop or a branch in `outer`."""
    inside: Block = raw(program)._create_block(raw(outer).idx)
    raw(program)._rollback()
    return inside


def place_of_block(block: Block) -> int:
    """The number of a block in its program."""
    return int(raw(block).idx)


def outside_reads(outer: Block, inside: Block) -> list[str]:
    """The variables of `outer` and of blocks around it that operators of `inside` read or write."""
    named = {name for op in inside.ops for name in op.input_arg_names + op.output_arg_names}
    return sorted(name for name in named if raw(outer)._find_var_recursive(name) is not None)


def serialized(program: Program) -> bytes:
    """The program's file, with every attribute; `paddle.static.serialize_program` leaves some of them out."""
    data: bytes = raw(program).desc.serialize_to_string()
    return data


def ending_with(program: Program, targets: Sequence[Variable]) -> Program:
    """A copy that computes `targets` and nothing else."""
    pruned: Program = raw(program.clone(for_test=True))._prune_with_input([], targets)
    return pruned


def parse(data: bytes) -> StoredProgram:
    """The message in a program's file. Raises: google.protobuf.message.DecodeError."""
    from paddle.base.proto import framework_pb2

    message: StoredProgram = framework_pb2.ProgramDesc.FromString(data)
    return message


def parse_tensor(data: bytes) -> TensorMessage:
    """The message that stands before a tensor's values. Raises: google.protobuf.message.DecodeError."""
    from paddle.base.proto import framework_pb2

    message: TensorMessage = framework_pb2.VarType.TensorDesc.FromString(data)
    return message


def name_of_stored_type(number: int) -> str:
    """The name that a file's format has for a data type, `FP32`."""
    from paddle.base.proto import framework_pb2

    return str(framework_pb2.VarType.Type.Name(number))


def load_parameters(program: Program, folder: Path, filename: str | None) -> None:
    """Reads the program's parameters into the current scope. filename: None for one file each."""
    import paddle
    from paddle.static.io import is_persistable, load_vars

    executor = paddle.static.Executor(paddle.CPUPlace())
    load_vars(
        executor, dirname=str(folder), main_program=program, predicate=is_persistable, filename=filename
    )


def parameter_names(program: Program) -> list[str]:
    """The variables that a combined file of parameters holds, in its order."""
    from paddle.static.io import is_persistable

    kept = [var for var in program.list_vars() if is_persistable(var) and is_dense(var)]
    return sorted({var.name for var in kept})


def tensor_message(data_type: int, shape: Sequence[int]) -> bytes:
    """The message that stands before a tensor's values."""
    from paddle.base.proto import framework_pb2

    message: bytes = framework_pb2.VarType.TensorDesc(data_type=data_type, dims=shape).SerializeToString()
    return message
