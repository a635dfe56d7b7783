"""Protocols for those of Paddle's objects that this project uses, since Paddle has no types.

Nothing is implemented here: an object of Paddle's fits the protocol that bears its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from paddle_int8.tasks.contracts.arrays import Array

DataType = Any
"""`paddle.float32` and its like, which compare, hash and convert to `int`."""


class Variable(Protocol):
    """What a block knows of a tensor. A free dimension of `shape` is -1."""

    name: str
    shape: tuple[int, ...]
    dtype: DataType
    persistable: bool
    lod_level: int

    @property
    def block(self) -> Block: ...


class Operator(Protocol):
    """An operator of a block. Inputs and outputs lie in slots, each a list of names."""

    @property
    def type(self) -> str: ...

    @property
    def block(self) -> Block: ...

    @property
    def input_names(self) -> list[str]: ...

    @property
    def output_names(self) -> list[str]: ...

    @property
    def input_arg_names(self) -> list[str]: ...

    @property
    def output_arg_names(self) -> list[str]: ...

    def input(self, slot: str, /) -> list[str]: ...

    def output(self, slot: str, /) -> list[str]: ...

    def has_attr(self, name: str, /) -> bool: ...

    def attr(self, name: str, /) -> Any: ...


class Block(Protocol):
    """Operators in their order, and the variables that they name."""

    ops: list[Operator]
    vars: dict[str, Variable]

    @property
    def program(self) -> Program: ...

    def var(self, name: str, /) -> Variable: ...

    def has_var(self, name: str, /) -> bool: ...

    def create_var(
        self,
        *,
        name: str,
        dtype: DataType,
        shape: Sequence[int] = ...,
        persistable: bool = ...,
        stop_gradient: bool = ...,
        lod_level: int = ...,
    ) -> Variable: ...


class Program(Protocol):
    """Blocks, the first of them the main one, the others the bodies of loops and branches."""

    blocks: list[Block]

    def global_block(self) -> Block: ...

    def list_vars(self) -> Iterable[Variable]: ...

    def clone(self, *, for_test: bool) -> Program: ...


class Tensor(Protocol):
    """The values of a variable in a scope; `np.array(tensor)` copies them."""

    def shape(self) -> list[int]: ...

    def set(self, values: Array, place: object, /) -> None: ...

    def set_lod(self, offsets: list[list[int]], /) -> None: ...

    def lod(self) -> list[list[int]]: ...

    def __array__(self, dtype: object = ..., /) -> Array: ...


class Holder(Protocol):
    """What a scope keeps under a name."""

    def get_tensor(self) -> Tensor: ...


class Scope(Protocol):
    """The values of a program's variables, by name."""

    def find_var(self, name: str, /) -> Holder | None: ...

    def var(self, name: str, /) -> Holder: ...


class GraphOperator(Protocol):
    """An operator of a graph, whose type is a call."""

    def type(self) -> str: ...

    def input(self, slot: str, /) -> list[str]: ...

    def output(self, slot: str, /) -> list[str]: ...

    def has_attr(self, name: str, /) -> bool: ...

    def attr(self, name: str, /) -> Any: ...


class GraphNode(Protocol):
    """A node of a graph that stands for an operator. It keeps the name from before any fusion."""

    def id(self) -> int: ...

    def name(self) -> str: ...

    def op(self) -> GraphOperator: ...

    def input(self, slot: str, /) -> list[str]: ...

    def output(self, slot: str, /) -> list[str]: ...


class Graph(Protocol):
    """A program as Paddle's passes take it."""

    def all_op_nodes(self) -> Iterable[GraphNode]: ...

    def to_program(self) -> Program: ...


class Slot(Protocol):
    """A named list of tensors in a stored operator."""

    parameter: str
    arguments: Sequence[str]


class Attribute(Protocol):
    """An attribute of a stored operator. `s` is its text and `b` its truth; another type has "" and False."""

    name: str
    s: str
    b: bool

    def SerializeToString(self, *, deterministic: bool) -> bytes: ...  # noqa: N802 - protobuf's name


class StoredOperator(Protocol):
    """An operator in a program's file."""

    type: str
    inputs: Sequence[Slot]
    outputs: Sequence[Slot]
    attrs: Sequence[Attribute]


class StoredBlock(Protocol):
    """A block in a program's file; `vars` are VarDesc messages."""

    ops: Sequence[StoredOperator]
    vars: Sequence[Any]


class StoredProgram(Protocol):
    """A program's file, parsed: the message ProgramDesc. `version` is the message Version."""

    blocks: Sequence[StoredBlock]
    version: Any

    def SerializeToString(self) -> bytes: ...  # noqa: N802 - protobuf's name
