"""Reads the headers of Paddle's parameter files and compares them with the program.

Paddle's own loader can crash the interpreter on a truncated or foreign file; this walk over the headers
cannot. A file is a row of tensors, each one: uint32 version, uint64 LoD levels (each uint64 byte count +
bytes), uint32 version, int32 length of a TensorDesc message, the message, the data.
Source: `SerializeToStream` in paddle/fluid/framework/lod_tensor.cc and tensor_util.cc.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.engines.paddle.files import ModelSource, require_content
from paddle_int8.tasks.engines.paddle.private.programs import name_of_stored_type, parse_tensor

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import StoredProgram

ITEM_BYTES = {0: 1, 1: 2, 2: 4, 3: 8, 4: 2, 5: 4, 6: 8, 20: 1, 21: 1, 22: 2, 23: 8, 24: 16}
"""The bytes of an element, by VarType number. Source: framework.proto."""
SHORT_INTEGERS = frozenset({1, 20, 21})
"""The VarType numbers of INT16, UINT8 and INT8."""
LOD_TENSOR = 7
MAX_DESC_BYTES = 4096
COPY_AGAIN = "copy or export the model again, program and parameters together"


@dataclass(frozen=True, slots=True)
class Header:
    """The VarType number and the shape of a stored tensor, or those that a program expects of it."""

    dtype: int
    shape: tuple[int, ...]


def expected_headers(program: StoredProgram) -> dict[str, Header]:
    """The parameters that the parsed ProgramDesc needs, by name, in the order of a combined file."""
    found = {}
    for block in program.blocks:
        for var in block.vars:
            if var.persistable and var.type.type == LOD_TENSOR:
                tensor = var.type.lod_tensor.tensor
                found[var.name] = Header(tensor.data_type, tuple(tensor.dims))
    return dict(sorted(found.items()))


def check_params(source: ModelSource, expected: Mapping[str, Header], *, strict: bool = True) -> None:
    """Compares the stored parameters with the program's, before anything native reads them.

    strict: False for quantized programs, whose declared shapes and types are not those stored.
    Raises: ModelFormatError when a file is missing, truncated, or of another model.
    """
    if source.params is None:
        for name, header in expected.items():
            path = source.program.parent / name
            if not path.is_file():
                raise _error(f"no file {path} for parameter {name}", f"{len(expected)} parameter files")
            require_content(path)
            _compare(path, {name: header}, strict=strict)
    else:
        _compare(source.params, expected, strict=strict)


def _compare(path: Path, expected: Mapping[str, Header], *, strict: bool) -> None:
    stored = list(read_headers(path))
    if len(stored) != len(expected):
        raise _error(f"{path} holds {len(stored)} parameters", f"the {len(expected)} that the program names")
    for (name, wanted), header in zip(expected.items(), stored, strict=True):
        if strict and not _matches(header, wanted):
            raise _error(f"{path} holds {_say(header)} where the program has parameter {name}", _say(wanted))


def holds_integer_weights(source: ModelSource, names: Iterable[str]) -> bool:
    """Whether one of the parameters `names` holds integers of 8 or 16 bits.

    Raises: ModelFormatError when a file is truncated or no parameter file.
    """
    files = [source.params] if source.params else [source.program.parent / name for name in names]
    return any(header.dtype in SHORT_INTEGERS for path in files for header in read_headers(path))


def read_headers(path: Path) -> Iterator[Header]:
    """The tensors stored in `path`, in order.

    Raises: ModelFormatError when the file ends inside a tensor or is no parameter file.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        count = 0
        while (start := stream.tell()) < size:
            header = _read_header(stream, size, f"{path}, tensor {count + 1} at byte {start}")
            count += 1
            yield header


def _read_header(stream: IO[bytes], size: int, where: str) -> Header:
    (version,) = _unpack(stream, "<I", where)
    (levels,) = _unpack(stream, "<Q", where)
    if version != 0 or levels > 16:
        raise _error(f"{where}: not a Paddle parameter file", "tensors as Paddle saves them")
    for _ in range(levels):
        (length,) = _unpack(stream, "<Q", where)
        stream.seek(length, 1)
    (version, length) = _unpack(stream, "<Ii", where)
    if version != 0 or not 0 < length <= MAX_DESC_BYTES:
        raise _error(f"{where}: not a Paddle parameter file", "tensors as Paddle saves them")
    header = _parse_desc(stream.read(length), where)
    data_bytes = math.prod(header.shape) * ITEM_BYTES[header.dtype]
    if stream.tell() + data_bytes > size:
        missing = stream.tell() + data_bytes - size
        raise _error(f"{where}: truncated, {missing} bytes are missing", f"{data_bytes} bytes of data")
    stream.seek(data_bytes, 1)
    return header


def _parse_desc(message: bytes, where: str) -> Header:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # ships no stubs

    try:
        desc = parse_tensor(message)
    except DecodeError as error:
        raise _error(f"{where}: {error}", "tensors as Paddle saves them") from error
    if desc.data_type not in ITEM_BYTES or any(dim < 0 for dim in desc.dims):
        raise _error(f"{where}: data type {desc.data_type}, shape {list(desc.dims)}", "a dense tensor")
    return Header(desc.data_type, tuple(desc.dims))


def _unpack(stream: IO[bytes], fields: str, where: str) -> tuple[int, ...]:
    """The next fields of a header. fields: as `struct` writes their types."""
    data = stream.read(struct.calcsize(fields))
    if len(data) < struct.calcsize(fields):
        raise _error(f"{where}: truncated", "a whole tensor")
    return struct.unpack(fields, data)


def _matches(stored: Header, wanted: Header) -> bool:
    """Whether a stored tensor is the wanted one. A scalar may be [] or [1]; a wanted -1 is any size."""
    if stored.dtype != wanted.dtype:
        return False
    if math.prod(stored.shape) == math.prod(wanted.shape) == 1:
        return True
    return len(stored.shape) == len(wanted.shape) and all(
        want in (-1, have) for have, want in zip(stored.shape, wanted.shape, strict=True)
    )


def _say(header: Header) -> str:
    return f"a {name_of_stored_type(header.dtype)} tensor {list(header.shape)}"


def _error(found: str, required: str) -> ModelFormatError:
    return ModelFormatError(found=found, required=required, remedy=COPY_AGAIN)
