"""Protocols for those of Paddle's objects that this project uses, since Paddle has no types.

Nothing is implemented here: an object of Paddle's fits the protocol that bears its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence, Sequence
from typing import Any, Protocol

from paddle_int8.tasks.contracts.arrays import Array


class NativeType(Protocol):
    """`paddle.float32` and its like, which compare and hash."""

    def __int__(self) -> int: ...


DataType = NativeType | str
"""A data type, or its name, which Paddle takes as well."""


class Variable(Protocol):
    """What a block knows of a tensor. A free dimension of `shape` is -1."""

    name: str
    shape: tuple[int, ...]
    dtype: NativeType
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

    all_persistable_nodes: Callable[[], Sequence[GraphNode]]

    def all_op_nodes(self) -> Iterable[GraphNode]: ...

    def to_program(self) -> Program: ...


class Stateful(Protocol):
    """A network or an optimizer of Paddle's, whose values can be read and put back."""

    def state_dict(self) -> Mapping[str, object]: ...

    def set_state_dict(self, values: Mapping[str, object], /) -> object: ...


class Slot(Protocol):
    """A named list of tensors in a stored operator."""

    parameter: str
    arguments: Sequence[str]


class Number(Protocol):
    """A number in a stored operator. One of its fields holds it, and the others are 0."""

    b: bool
    i: int
    r: float


class Field(Protocol):
    """The description of a field of a message."""

    name: str


class Attribute(Protocol):
    """An attribute of a stored operator. `s` is its text and `b` its truth; another type has "" and False."""

    name: str
    s: str
    b: bool
    i: int
    ints: MutableSequence[int]
    scalars: Sequence[Number]

    def ListFields(self) -> Sequence[tuple[Field, object]]: ...  # noqa: N802 - protobuf's name

    def SerializeToString(self, *, deterministic: bool) -> bytes: ...  # noqa: N802 - protobuf's name


class Attributes(Protocol):
    """The attributes of a stored operator, in the file's order."""

    def __iter__(self) -> Iterator[Attribute]: ...

    def add(self, *, name: str, type: int) -> Attribute: ...

    def remove(self, attribute: Attribute, /) -> None: ...


class StoredOperator(Protocol):
    """An operator in a program's file."""

    type: str
    inputs: Sequence[Slot]
    outputs: Sequence[Slot]
    attrs: Attributes


class StoredTensor(Protocol):
    """The type of a variable that holds a tensor."""

    tensor: TensorMessage


class StoredType(Protocol):
    """The type of a variable in a program's file. `type` is its number in framework.proto."""

    type: int
    lod_tensor: StoredTensor


class StoredVariable(Protocol):
    """A variable in a program's file."""

    name: str
    persistable: bool
    type: StoredType


class StoredBlock(Protocol):
    """A block in a program's file."""

    ops: Sequence[StoredOperator]
    vars: Sequence[StoredVariable]


class Version(Protocol):
    """The version of Paddle that wrote a program, in one number."""

    version: int


class TensorMessage(Protocol):
    """What stands before a tensor's values in a file."""

    data_type: int
    dims: Sequence[int]


class StoredProgram(Protocol):
    """A program's file, parsed."""

    blocks: Sequence[StoredBlock]
    version: Version

    def SerializeToString(self) -> bytes: ...  # noqa: N802 - protobuf's name
