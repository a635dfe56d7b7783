"""Writes a PIR program as a program of Paddle 2.6. Isolated process only.

Every operator is appended through Paddle's own Python interface, which infers shapes and refuses what the
operator does not take. A constant is written where its tensor is read, and nowhere else.
"""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import paddle

from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.engines.paddle.pir.attributes import as_attribute, is_list
from paddle_int8.tasks.engines.paddle.pir.constants import fold
from paddle_int8.tasks.engines.paddle.pir.control_flow import CONTROL_FLOW
from paddle_int8.tasks.engines.paddle.pir.draft import Draft
from paddle_int8.tasks.engines.paddle.pir.exceptions import EXCEPTIONS
from paddle_int8.tasks.engines.paddle.pir.program import (
    PARAMETER,
    Block,
    Operation,
    PirProgram,
    Tensor,
    TensorArray,
    Tuple,
    Type,
    Value,
)
from paddle_int8.tasks.engines.paddle.pir.structure import FEEDS, FETCH, STRUCTURE
from paddle_int8.tasks.engines.paddle.pir.table import Operand, Rule, rule_of
from paddle_int8.tasks.engines.paddle.private.operators import (
    append_operator,
    attribute_kinds,
    required_outputs,
)
from paddle_int8.tasks.engines.paddle.private.programs import append_fetches, prepend_feeds
from paddle_int8.tasks.engines.paddle.private.variables import create_tensor_array, set_shape, variable_of

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.arrays import Array
    from paddle_int8.tasks.engines.paddle import types

FIXED_SHAPES = (
    "export the model with fixed shapes: give every dimension of `input_spec` but the batch a number, and "
    "compute axes and sizes from numbers, not from tensors"
)
LEGACY_EXPORT = (
    "export the model as .pdmodel, with Paddle 2.6, or with FLAGS_enable_pir_api=0 in the environment before "
    "`import paddle`"
)


def translate(program: PirProgram, path: Path) -> types.Program:
    """The program that computes the same in Paddle 2.6. `path` is what messages name.

    Raises: ModelFormatError, naming every operator that has no translation, or the one that asks for what
    Paddle 2.6 cannot do.
    """
    require_translatable(program, path)
    return Translation(program, path).run()


def require_translatable(program: PirProgram, path: Path) -> None:
    """Requires a translation of every operator. Raises: ModelFormatError, naming those that have none."""
    counts = Counter(operation.name for operation in program.block.walk())
    known = STRUCTURE.keys() | CONTROL_FLOW.keys() | FEEDS | {PARAMETER, FETCH}
    unknown = sorted(name for name in counts if name not in known and rule_of(name) is None)
    if unknown:
        raise ModelFormatError(
            found=f"{path} uses operators that have no translation to Paddle {paddle.__version__}: "
            + ", ".join(f"{name} ({counts[name]})" for name in unknown),
            required="operators of the table in docs/reference/paddle3-operators.md",
            remedy=f"{LEGACY_EXPORT}; an operator of your own must be written with Paddle's operators",
        )


class Translation:
    """A program while it is written.

    names: what each value is called, by its number; a row of tensors has several names.
    constants: the values that are known before the program runs.
    rows: the members of each row of values that the program put together.
    """

    def __init__(self, source: PirProgram, path: Path) -> None:
        self.path = path
        self.program: types.Program = paddle.static.Program()
        self.block: types.Block = self.program.global_block()
        self.names: ChainMap[int, str | tuple[str, ...]] = ChainMap()
        self.types: dict[int, Type] = {}
        self.constants: dict[int, Array] = {}
        self.rows: dict[int, tuple[int, ...]] = {}
        self._source = source
        self._deferred: dict[int, Operation] = {}
        self._counts: Counter[str] = Counter()
        self._used: set[str] = set()
        self._feeds = [self._declare(op) for op in source.block.operations if op.name in FEEDS]
        for operation in source.block.operations:
            if operation.name == PARAMETER and operation.attributes["stored"]:
                self._declare(operation)
        self._outputs = {number: self._unused(name) for number, name in _outputs(source.block).items()}

    def run(self) -> types.Program:
        """The whole program, with its inputs, parameters and outputs."""
        self.write(self._source.block)
        prepend_feeds(self.program, self._feeds)
        append_fetches(self.program, [self._fetched(number) for number in self._outputs])
        return self.program

    def write(self, block: Block) -> None:
        """All operators of a block, into the current one."""
        for operation in block.operations:
            for result in operation.results:
                self.types[result.number] = result.type
            if operation.name in FEEDS | {PARAMETER, FETCH} or self._is_constant(operation):
                continue
            self._write(operation)

    @contextmanager
    def inside(self, block: types.Block) -> Iterator[None]:
        """Writes into `block`, a block inside of the current one."""
        outer = self.block
        self.block, self.names = block, self.names.new_child()
        try:
            yield
        finally:
            self.block, self.names = outer, self.names.parents

    def name(self, number: int) -> str:
        """The name of a value. One that is a constant is written now."""
        if number in self._deferred and number not in self.names:
            self._write(self._deferred[number])
        if number not in self.names:
            raise self.unfit(f"value {number} is read, and no operator or file gives it")
        name = self.names[number]
        if not isinstance(name, str):
            raise self.unfit(f"a row of {len(name)} tensors where one is read")
        return name

    def row(self, number: int) -> tuple[str, ...]:
        """The names of the tensors of a row."""
        if number in self.rows:
            return tuple(self.name(member) for member in self.rows[number])
        names = self.names[number]
        return (names,) if isinstance(names, str) else names

    def new(self, kind: str, type: Type, place: int = 0) -> str:
        """A new variable of the current block, which an operator of type `kind` will write."""
        return self._create(self._unused(f"{kind}_{self._counts[kind]}.tmp_{place}"), type)

    def append(self, draft: Draft) -> None:
        """Writes an operator. Raises: ModelFormatError when Paddle 2.6 does not take it."""
        self._complete(draft)
        kinds = attribute_kinds(draft.type)
        attributes = {name: as_attribute(value, kinds[name]) for name, value in draft.attributes.items()}
        try:
            append_operator(
                self.block,
                type=draft.type,
                inputs=draft.inputs,
                outputs=draft.outputs,
                attrs=attributes,
            )
        except (RuntimeError, ValueError, AssertionError, TypeError) as error:
            raise self.unfit(f"{draft.type}: {_first_line(error)}") from error
        self._counts[draft.type] += 1

    def _complete(self, draft: Draft) -> None:
        """Adds the outputs that Paddle 2.6 requires and nothing reads."""
        length = max(map(len, draft.inputs.values()), default=1)
        for number, (slot, is_row) in enumerate(required_outputs(draft.type)):
            if slot not in draft.outputs:
                places = range(length if is_row else 1)
                draft.outputs[slot] = [
                    self.new(draft.type, Tensor("float32", ()), 100 * (number + 1) + place)
                    for place in places
                ]

    def assign(self, source: str, target: str) -> None:
        """Writes an operator that copies a variable into another."""
        self.append(Draft("assign", {"X": [source]}, {"Out": [target]}))

    def unfit(self, found: str, remedy: str = LEGACY_EXPORT) -> ModelFormatError:
        """The error of an operator that Paddle 2.6 cannot run."""
        return ModelFormatError(
            found=f"{self.path}: {found}",
            required=f"what the operators of Paddle {paddle.__version__} can do",
            remedy=remedy,
        )

    def _declare(self, operation: Operation) -> str:
        """Makes an input or a parameter a variable of the same name, and returns the name."""
        (result,) = operation.results
        stored = operation.name == PARAMETER
        name: str = operation.attributes["parameter_name" if stored else "name"]
        if name in self._used:
            raise self.unfit(f"two inputs or parameters named {name}")
        self._used.add(name)
        self.types[result.number] = result.type
        self.names[result.number] = self._create(name, result.type, persistable=stored)
        return name

    def _fetched(self, number: int) -> str:
        """The name of an output, under which it is copied if it is an input, a parameter or a constant."""
        name = self._outputs[number]
        if self.name(number) != name:
            self._create(name, self.types[number])
            self.assign(self.name(number), name)
        return name

    def _is_constant(self, operation: Operation) -> bool:
        """Whether the operator's value is known; it is then written when it is read."""
        if operation.name == "builtin.combine":
            self.rows[operation.results[0].number] = operation.operands
            return True
        value = fold(operation, [self._known(number) for number in operation.operands])
        if value is None:
            return False
        number = operation.results[0].number
        self.constants[number] = value
        self._deferred[number] = operation
        return True

    def _known(self, number: int) -> Array | list[Array] | None:
        """The value of an operand, of a row those of its members; None where one is not known."""
        if number not in self.rows:
            return self.constants.get(number)
        row = self.rows[number]
        return [self.constants[member] for member in row] if self.constants.keys() >= set(row) else None

    def _write(self, operation: Operation) -> None:
        if operation.name in STRUCTURE:
            STRUCTURE[operation.name](self, operation)
        elif operation.name in CONTROL_FLOW:
            CONTROL_FLOW[operation.name](self, operation)
        else:
            rule = rule_of(operation.name)
            assert rule is not None  # require_translatable
            draft = self._draft(operation, rule)
            for each in EXCEPTIONS[rule.by](self, operation, draft) if rule.by else (draft,):
                self.append(each)
            for result in operation.results:
                self._restore_shape(result)

    def _restore_shape(self, value: Value) -> None:
        """Keeps sides that Paddle 3 knows and Paddle 2.6 does not infer, such as those of a computed size."""
        name = self.names.get(value.number)
        if not isinstance(name, str) or not isinstance(value.type, Tensor):
            return
        variable = variable_of(self.block, name)
        if len(variable.shape) == len(value.type.shape):
            known = zip(variable.shape, value.type.shape, strict=True)
            set_shape(variable, [side if side >= 0 else given for side, given in known])

    def _draft(self, operation: Operation, rule: Rule) -> Draft:
        draft = Draft(rule.legacy, {}, {}, dict(rule.fixed))
        self._attributes(draft, operation, rule)
        for number, operand in zip(operation.operands, rule.operands, strict=False):
            if number:
                self._operand(draft, operation, number, operand)
        if len(operation.operands) > len(rule.operands):
            raise self.unfit(f"{operation.name} with {len(operation.operands)} operands")
        self._results(draft, operation, rule)
        return draft

    def _attributes(self, draft: Draft, operation: Operation, rule: Rule) -> None:
        kinds = attribute_kinds(rule.legacy)
        for name, value in operation.attributes.items():
            renamed = rule.renamed.get(name, name)
            if value is None:
                continue
            if name in rule.new and value == rule.new[name]:
                continue
            if renamed not in kinds and not rule.by:
                raise self.unfit(f"{operation.name} with {name} = {value}, which {rule.legacy} has not")
            draft.attributes[renamed] = value

    def _operand(self, draft: Draft, operation: Operation, number: int, operand: Operand) -> None:
        if operand.attribute:
            value = self.constants.get(number)
            if value is not None:
                several = is_list(attribute_kinds(draft.type)[operand.attribute])
                draft.attributes[operand.attribute] = value.ravel().tolist() if several else value.item()
                return
            if not operand.slot:
                raise self.unfit(
                    f"{operation.name} with an operand that is computed when the program runs, where "
                    f"{draft.type} wants a constant, its attribute {operand.attribute}",
                    FIXED_SHAPES,
                )
        if operand.slot:
            draft.inputs[operand.slot] = list(self.row(number)) if operand.row else [self.name(number)]

    def _results(self, draft: Draft, operation: Operation, rule: Rule) -> None:
        for place, (value, result) in enumerate(zip(operation.results, rule.results, strict=False)):
            if result.same_as:
                (name,) = draft.inputs[result.same_as]
                self.names[value.number] = name
                draft.outputs[result.slot] = [name]
            elif result.row and isinstance(value.type, Tuple):
                names = tuple(
                    self.new(draft.type, type, place + index) for index, type in enumerate(value.type.items)
                )
                self.names[value.number] = names
                draft.outputs[result.slot] = list(names)
            elif isinstance(value.type, Tensor | TensorArray):
                draft.outputs[result.slot] = [self.result(draft.type, value, place)]

    def result(self, kind: str, value: Value, place: int = 0) -> str:
        """A new variable for a value, under the output's name if it is one."""
        output = self._outputs.get(value.number)
        if output is not None and self.block is self.program.global_block():
            name = self._create(output, value.type)
        else:
            name = self.new(kind, value.type, place)
        self.names[value.number] = name
        return name

    def _create(self, name: str, type: Type, *, persistable: bool = False) -> str:
        if isinstance(type, TensorArray):
            create_tensor_array(self.block, name, type.dtype, type.shape)
        elif isinstance(type, Tensor):
            self.block.create_var(
                name=name, shape=type.shape, dtype=type.dtype, persistable=persistable, stop_gradient=True
            )
        else:
            raise self.unfit(f"a value of type {type}")
        return name

    def _unused(self, name: str) -> str:
        unused, count = name, 0
        while unused in self._used:
            count += 1
            unused = f"{name}_{count}"
        self._used.add(unused)
        return unused


def _outputs(block: Block) -> dict[int, str]:
    """The names of the outputs, by the numbers of their values, in the order in which they are answered.

    A value that is answered twice is one output.
    """
    fetches = [operation for operation in block.operations if operation.name == FETCH]
    fetches.sort(key=lambda operation: operation.attributes["col"])
    return {operation.operands[0]: operation.attributes["name"] for operation in fetches}


def _first_line(error: Exception) -> str:
    """What Paddle says of an error, without its stack."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if "Error:" in line] or [line for line in lines if line]
    return said[-1] if said else type(error).__name__
