"""Reads a PIR program from its JSON, all of it, into plain frozen records. Loads no Paddle.

The keys are those of paddle/fluid/pir/serialize_deserialize/include/schema.h. A value is known by a number;
0 is no value. The arguments of a block have negative numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddle_int8.tasks.contracts.errors import ModelFormatError

VERSIONS = range(1, 5)
"""What `base_code.version` may be. Paddle 3.0 writes 1, 3.3 writes the last; each adds attributes alone."""
DIALECTS = {"0": "builtin", "1": "pd_op", "2": "cf", "3": "custom_op", "4": "dist_op"}
PARAMETER = "builtin.parameter"
DTYPES = {
    "t_bool": "bool",
    "t_ui8": "uint8",
    "t_i8": "int8",
    "t_i16": "int16",
    "t_i32": "int32",
    "t_i64": "int64",
    "t_f16": "float16",
    "t_bf16": "bfloat16",
    "t_f32": "float32",
    "t_f64": "float64",
    "t_c64": "complex64",
    "t_c128": "complex128",
}
NOT_COMPUTED = frozenset({"struct_name", "op_role", "op_dist_attr"})
"""Attributes that say where an operator came from, not what it does."""
NOT_STORED = "__non_persistable"
"""How the name of a parameter ends that is not in the file of parameters, such as the state of a dropout."""
NOT_FINITE = {"NaN": math.nan, "NAN": math.nan, "INF": math.inf, "-INF": -math.inf}
Json = Mapping[str, Any]
"""An object of the file. One that is damaged ends the reading with an error, whatever is wrong with it."""
Plain = Any
"""The value of an attribute: None, a truth, a number, a text or a list of these. The operator says which."""
Attributes = Mapping[str, Plain]
COPY_AGAIN = "copy or export the model again, program and parameters together"


class DataType(str):
    """An attribute that names a data type, `float32`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Tensor:
    """The type of a tensor. A free dimension of `shape` is -1."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorArray:
    """The type of a list of tensors whose length is known when the program runs; `shape` is that of each."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tuple:
    """The type of a row of tensors whose length the program knows."""

    items: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class Other:
    """A type that no inference program needs, by its name in the file."""

    name: str


Type = Tensor | TensorArray | Tuple | Other


@dataclass(frozen=True, slots=True)
class Value:
    """What an operator computes, or an argument of a block."""

    number: int
    type: Type


@dataclass(frozen=True, slots=True)
class Operation:
    """`operands` are numbers of values, in the order of the operator's definition; 0 is none."""

    name: str
    operands: tuple[int, ...]
    results: tuple[Value, ...]
    attributes: Attributes
    bodies: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Operators in their order, and the values that whoever runs the block gives it."""

    arguments: tuple[Value, ...]
    operations: tuple[Operation, ...]

    def walk(self) -> Iterator[Operation]:
        """All operators, each before those in its bodies."""
        for operation in self.operations:
            yield operation
            for body in operation.bodies:
                yield from body.walk()


@dataclass(frozen=True, slots=True)
class PirProgram:
    version: int
    block: Block


def read_program(path: Path) -> PirProgram:
    """The program in the file `path`.

    Raises: ModelFormatError when the file is truncated, no PIR program, or of a version that is not known.
    """
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _error(f"{path} is truncated or no JSON ({error})") from error
    if not isinstance(document, dict) or not {"base_code", "program"} <= document.keys():
        raise _error(f"{path} is no PIR program: its JSON has no `base_code` and `program`")
    try:
        _require_known(path, document["base_code"])
        (region,) = document["program"]["regions"]
        return PirProgram(document["base_code"]["version"], _block(region))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise _error(f"{path} is damaged ({type(error).__name__}: {error})") from error


def _require_known(path: Path, code: Json) -> None:
    if code["magic"] != "pir":
        raise _error(f"{path} is no PIR program: its `magic` is {code['magic']!r}")
    if code["version"] not in VERSIONS:
        raise ModelFormatError(
            found=f"{path} is a PIR program of version {code['version']}",
            required=f"version {VERSIONS.start} to {VERSIONS.stop - 1}, which Paddle 3.0 to 3.3 write",
            remedy="export the model with one of these versions of Paddle, or as .pdmodel with "
            "FLAGS_enable_pir_api=0 in the environment before `import paddle`",
        )


def _block(region: Json) -> Block:
    (block,) = region["blocks"]
    return Block(
        arguments=tuple(_value(argument, "#") for argument in block["args"]),
        operations=tuple(_operation(operation) for operation in block["ops"]),
    )


def _operation(stored: Json) -> Operation:
    if stored["#"] == "p":
        return _parameter(stored)
    return Operation(
        name=_name(stored["#"]),
        operands=tuple(operand["%"] for operand in stored["I"]),
        results=tuple(_value(result) for result in stored["O"]),
        attributes={
            each["N"]: _attribute(each["AT"]) for each in stored["A"] if each["N"] not in NOT_COMPUTED
        },
        bodies=tuple(_block(region) for region in stored.get("regions", ())),
    )


def _parameter(stored: Json) -> Operation:
    """A parameter, which has a short form: `A` holds is_distributed, is_parameter, need_clip and the name."""
    results = stored["O"]
    results = results if isinstance(results, list) else [results]
    name = stored["A"][3]
    if not isinstance(name, str) or not name:
        raise ValueError(f"a parameter is named {name!r}")
    return Operation(
        name=PARAMETER,
        operands=(),
        results=tuple(_value(result) for result in results),
        attributes={"parameter_name": name, "stored": _is_stored(name, stored.get("OA"))},
        bodies=(),
    )


def _is_stored(name: str, attributes: Sequence[int] | None) -> bool:
    """Whether the file of parameters holds it. The first of its attributes says so, where there are any."""
    return not name.endswith(NOT_STORED) and (not attributes or bool(attributes[0]))


def _name(stored: str) -> str:
    dialect, _, name = stored.partition(".")
    return f"{DIALECTS.get(dialect, dialect)}.{name}"


def _value(stored: Json, number: str = "%") -> Value:
    """A value. number: the key of its number, which an argument of a block keeps elsewhere."""
    return Value(int(stored[number]), _type(stored["TT"]))


def _type(stored: Json) -> Type:
    kind = stored["#"].partition(".")[2]
    if kind in ("t_dtensor", "t_dense_tensor_array"):
        made = Tensor if kind == "t_dtensor" else TensorArray
        return made(_dtype(stored["D"][0]), tuple(int(side) for side in stored["D"][1]))
    if kind == "t_vec":
        return Tuple(tuple(_type(item) for item in stored["D"]))
    return Other(stored["#"])


def _dtype(stored: Json) -> str:
    kind: str = stored["#"].partition(".")[2]
    return DTYPES.get(kind, kind)


def _attribute(stored: Json) -> Plain:
    """The value of an attribute; None for one that says only where something is computed."""
    kind = stored["#"].partition(".")[2]
    if "VD" in stored:
        return NOT_FINITE[stored["VD"]]
    data: Plain = stored.get("D")
    match kind:
        case "a_array":
            return [_attribute(each) for each in data or ()]
        case "a_dtype":
            return DataType("Undefined" if data.startswith("Undefined") else data)
        case "a_scalar":
            return _scalar(*data[:2])
        case "a_place":
            return None
        case _:
            return data


def _scalar(dtype: str, value: Plain) -> Plain:
    if isinstance(value, str):
        return NOT_FINITE[value]
    return bool(value) if dtype == "bool" else value


def _error(found: str) -> ModelFormatError:
    return ModelFormatError(
        found=found, required="a whole PIR program, as Paddle 3 saves it", remedy=COPY_AGAIN
    )
