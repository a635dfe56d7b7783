"""Branches and loops: `if` as two conditional blocks and a choice, `while` as a loop over variables.

In PIR a body is a function of values; in Paddle 2.6 it writes into variables of the block around it.
Isolated process only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from paddle_int8.tasks.engines.paddle.pir.draft import Draft
from paddle_int8.tasks.engines.paddle.pir.program import DataType, Tensor, TensorArray
from paddle_int8.tasks.engines.paddle.private.programs import block_inside, outside_reads, place_of_block
from paddle_int8.tasks.engines.paddle.private.variables import create_scopes

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.pir.program import Block, Operation
    from paddle_int8.tasks.engines.paddle.pir.translation import Translation

YIELD = "cf.yield"


def _if(translation: Translation, operation: Operation) -> None:
    condition = translation.name(operation.operands[0])
    opposite = translation.new("logical_not", Tensor("bool", ()))
    translation.append(Draft("logical_not", {"X": [condition]}, {"Out": [opposite]}))
    branches = [
        _branch(translation, operation, body, name)
        for body, name in zip(operation.bodies, (condition, opposite), strict=True)
    ]
    if not operation.results:
        return
    chosen = translation.new("cast", Tensor("int32", ()))
    types = {"in_dtype": DataType("bool"), "out_dtype": DataType("int32")}
    translation.append(Draft("cast", {"X": [condition]}, {"Out": [chosen]}, types))
    for place, result in enumerate(operation.results):
        whenever_true, otherwise = (branch[place] for branch in branches)
        out = translation.result("select_input", result)
        translation.append(
            Draft("select_input", {"X": [otherwise, whenever_true], "Mask": [chosen]}, {"Out": [out]})
        )


def _branch(translation: Translation, operation: Operation, body: Block, condition: str) -> list[str]:
    """Writes a branch; returns the variables of the current block that it leaves its results in."""
    targets = [translation.new("conditional_block", result.type) for result in operation.results]
    inside = block_inside(translation.program, translation.block)
    with translation.inside(inside):
        translation.write(body)
        for number, target in zip(_yielded(body), targets, strict=True):
            translation.assign(translation.name(number), target)
    scopes = create_scopes(translation.block, f"{condition}.scope_{place_of_block(inside)}")
    translation.append(
        Draft(
            "conditional_block",
            {"Cond": [condition], "Input": outside_reads(translation.block, inside)},
            {"Out": targets, "Scope": [scopes]},
            {"sub_block": inside, "is_scalar_condition": True},
        )
    )
    return targets


def _while(translation: Translation, operation: Operation) -> None:
    (body,) = operation.bodies
    condition = _variable(translation, operation.operands[0])
    variables = [_variable(translation, number) for number in operation.operands[1:]]
    inside = block_inside(translation.program, translation.block)
    with translation.inside(inside):
        for argument, name in zip(body.arguments, variables, strict=True):
            translation.types[argument.number] = argument.type
            translation.names[argument.number] = name
        translation.write(body)
        _carry(translation, _yielded(body), [condition, *variables])
    scopes = create_scopes(translation.block, f"{condition}.scope_{place_of_block(inside)}")
    reads = [name for name in outside_reads(translation.block, inside) if name != condition]
    translation.append(
        Draft(
            "while",
            {"X": sorted({*reads, *variables}), "Condition": [condition]},
            {"Out": variables, "StepScopes": [scopes]},
            {"sub_block": inside, "is_test": True},
        )
    )
    for result, name in zip(operation.results, variables, strict=True):
        translation.names[result.number] = name


def _variable(translation: Translation, number: int) -> str:
    """A variable of the current block that the loop may change, with the value `number` in it."""
    name, type = translation.name(number), translation.types[number]
    if isinstance(type, TensorArray):
        return name
    variable = translation.new("while", type)
    translation.assign(name, variable)
    return variable


def _carry(translation: Translation, values: Sequence[int], variables: Sequence[str]) -> None:
    """Gives every variable its next value, all at once: a value that is another variable is copied first."""
    moves = [
        (translation.name(number), translation.types[number], variable)
        for number, variable in zip(values, variables, strict=True)
        if translation.name(number) != variable
    ]
    changed = {variable for _, _, variable in moves}
    safe = []
    for name, type, variable in moves:
        if name in changed:
            copy = translation.new("assign", type)
            translation.assign(name, copy)
            name = copy
        safe.append((name, variable))
    for name, variable in safe:
        translation.assign(name, variable)


def _yielded(body: Block) -> tuple[int, ...]:
    last = body.operations[-1]
    return last.operands if last.name == YIELD else ()


def _nothing(translation: Translation, operation: Operation) -> None:
    """Writes nothing: the operator that a body belongs to takes what the body gives back."""


CONTROL_FLOW: Mapping[str, Callable[[Translation, Operation], None]] = {
    "pd_op.if": _if,
    "pd_op.while": _while,
    YIELD: _nothing,
}
