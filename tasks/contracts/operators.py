"""The operators of a model by the names that a person can give them, and the choice of some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.suggestion import did_you_mean

BETWEEN = ".."
"""Joins the first and the last operator of a part of the network: `conv2d_0..conv2d_4`."""
SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedOperator:
    """An operator of the main block.

    layer: the name that its parameters share in the user's network, such as `conv2d_3` for `conv2d_3.w_0`;
    the first output tensor for an operator without parameters. Layers that share parameters share the name.
    reads, writes: the names of its tensors. Parameters are not among `reads`.
    """

    layer: str
    type: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (self.layer, self.type, *self.writes)


def select(operators: Sequence[NamedOperator], patterns: Iterable[str]) -> tuple[NamedOperator, ...]:
    """The operators that any of `patterns` means, in the order of the program.

    A pattern is a layer, an output tensor or a type of operators, with `*`, `?` and `[…]` as in file names:
    `conv2d_0`, `conv2d_1?`, `matmul_v2`. Two patterns joined by `..` mean everything that lies on a way from
    an operator of the first to an operator of the second, both included: `conv2d_0..conv2d_4`.
    Raises: ConfigError when a pattern means no operator, with the nearest names.
    """
    chosen: set[int] = set()
    for pattern in patterns:
        found = _meant(operators, pattern)
        if not found:
            raise _unknown(operators, pattern)
        chosen |= found
    return tuple(operators[index] for index in sorted(chosen))


def _meant(operators: Sequence[NamedOperator], pattern: str) -> set[int]:
    if exact := _all(operators, lambda name: name == pattern):  # a name may hold any character
        return exact
    if BETWEEN in pattern:
        first, last = (_meant(operators, part.strip()) for part in pattern.split(BETWEEN, 1))
        return _behind(operators, first) & _in_front(operators, last)
    return _all(operators, lambda name: fnmatchcase(name, pattern))


def _all(operators: Sequence[NamedOperator], fits: Callable[[str], bool]) -> set[int]:
    return {index for index, op in enumerate(operators) if any(map(fits, op.names))}


def _behind(operators: Sequence[NamedOperator], start: set[int]) -> set[int]:
    """`start`, and every operator that reads what these compute, at any distance."""
    reached, tensors = set(start), {name for index in start for name in operators[index].writes}
    for index, op in enumerate(operators):
        if not tensors.isdisjoint(op.reads):
            reached.add(index)
            tensors.update(op.writes)
    return reached


def _in_front(operators: Sequence[NamedOperator], end: set[int]) -> set[int]:
    """`end`, and every operator whose results these read, at any distance."""
    reached, tensors = set(end), {name for index in end for name in operators[index].reads}
    for index in reversed(range(len(operators))):
        if not tensors.isdisjoint(operators[index].writes):
            reached.add(index)
            tensors.update(operators[index].reads)
    return reached


def _unknown(operators: Sequence[NamedOperator], pattern: str) -> ConfigError:
    parts = pattern.split(BETWEEN, 1)
    missing = [part.strip() for part in parts if not _meant(operators, part.strip())]
    names = list(dict.fromkeys(name for op in operators for name in op.names))
    if len(parts) == 2 and not missing:
        found = f"no operator on a way from {parts[0].strip()} to {parts[1].strip()}"
    else:
        found = "; ".join(f"no operator is called {name!r}{did_you_mean(name, names)}" for name in missing)
    layers = list(dict.fromkeys(op.layer for op in operators))
    return ConfigError(
        found=f"`quantization.keep_fp32: {pattern}`: {found}",
        required=f"a layer, a type or an output tensor of the model, such as {', '.join(layers[:SHOWN])}",
        remedy="`paddle-int8 sensitivity CONFIG` lists the model's layers by name",
    )
