"""A PIR program is read whole from its JSON, or refused with what is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.engines.paddle.pir.constants import fold
from paddle_int8.tasks.engines.paddle.pir.program import (
    PARAMETER,
    VERSIONS,
    Operation,
    Tensor,
    TensorArray,
    Tuple,
    Value,
    read_program,
)
from tests.pir_documents import FP32, attribute, document, given, operation, parameter, tensor, write_program

FLAG = operation("1.full", [], [(3, tensor(1))], [attribute("value", "1.a_scalar", ["bool", 1])])
WHOLE = document(parameter(1, "linear_0.w_0", 4, 5), given(2, "x", -1, 4), FLAG)


def test_parameter_in_its_short_form_has_name_and_type(tmp_path: Path) -> None:
    parameter, *_ = read_program(write_program(tmp_path, WHOLE)).block.operations
    attributes = {"parameter_name": "linear_0.w_0", "stored": True}
    assert (parameter.name, parameter.attributes) == (PARAMETER, attributes)
    assert parameter.results == (Value(1, Tensor("float32", (4, 5))),)


@pytest.mark.parametrize("version", [VERSIONS.start, VERSIONS.stop - 1])
def test_program_of_a_known_version_is_read(tmp_path: Path, version: int) -> None:
    assert read_program(write_program(tmp_path, document(FLAG, version=version))).version == version


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("0.a_bool", True, True),
        ("0.a_f32", 0.5, 0.5),
        ("1.a_intarray", [1, -1], [1, -1]),
        ("1.a_dtype", "float32", "float32"),
        ("1.a_place", [1, 0, ""], None),
        ("1.a_scalar", ["int64", 7], 7),
        ("1.a_scalar", ["bool", 0], False),
        ("0.a_array", [{"#": "0.a_i32", "D": 3}, {"#": "0.a_str", "D": "x"}], [3, "x"]),
    ],
    ids=["truth", "number", "integers", "data type", "place", "scalar", "scalar truth", "list"],
)
def test_attribute_becomes_a_plain_value(tmp_path: Path, kind: str, data: Any, value: Any) -> None:
    stored = operation("1.x", [], [], [attribute("a", kind, data)])
    (read,) = read_program(write_program(tmp_path, document(stored))).block.operations
    assert read.attributes == {"a": value}


@pytest.mark.parametrize(("word", "value"), [("INF", math.inf), ("-INF", -math.inf)])
def test_infinite_attribute_has_a_word_of_its_own(tmp_path: Path, word: str, value: float) -> None:
    stored = operation("1.x", [], [], [{"N": "a", "AT": {"#": "0.a_f32", "VD": word}}])
    (read,) = read_program(write_program(tmp_path, document(stored))).block.operations
    assert read.attributes == {"a": value}


def test_rows_and_lists_of_tensors_have_types_of_their_own(tmp_path: Path) -> None:
    row = {"#": "0.t_vec", "D": [tensor(2), tensor(3)]}
    array = {"#": "1.t_dense_tensor_array", "D": [FP32, [2], "NCHW"]}
    stored = operation("1.x", [0, 2], [(4, row), (5, array)], [])
    (read,) = read_program(write_program(tmp_path, document(stored))).block.operations
    assert read.operands == (0, 2)
    assert [value.type for value in read.results] == [
        Tuple((Tensor("float32", (2,)), Tensor("float32", (3,)))),
        TensorArray("float32", (2,)),
    ]


def test_walk_enters_the_bodies_of_operators(tmp_path: Path) -> None:
    inner = {"#": "r", "blocks": [{"args": [{"#": -1, "TT": tensor(1)}], "ops": [FLAG]}]}
    outer = operation("1.while", [3], [], [], regions=[inner])
    block = read_program(write_program(tmp_path, document(outer))).block
    assert [each.name for each in block.walk()] == ["pd_op.while", "pd_op.full"]
    assert block.operations[0].bodies[0].arguments == (Value(-1, Tensor("float32", (1,))),)


def spoil(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    spoiled: dict[str, Any] = json.loads(json.dumps(WHOLE))
    change(spoiled)
    return spoiled


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (json.dumps(WHOLE)[:-40], "truncated or no JSON"),
        ("[" * 100_000, "truncated or no JSON"),
        ('{"a": 1}', "is no PIR program"),
        ("[1, 2]", "is no PIR program"),
        (spoil(lambda it: it["base_code"].update(magic="onnx")), "its `magic` is 'onnx'"),
        (spoil(lambda it: it["base_code"].update(version=99)), "of version 99"),
        (spoil(lambda it: it["base_code"].update(version=0)), "of version 0"),
        (spoil(lambda it: it["program"].update(regions=[])), "is damaged"),
        (spoil(lambda it: it["program"]["regions"][0]["blocks"][0]["ops"][1].pop("A")), "is damaged"),
        (spoil(lambda it: it["program"]["regions"][0]["blocks"][0]["ops"][0].update(A=[1])), "is damaged"),
    ],
    ids=[
        *("truncated", "nested without end", "other JSON", "a list", "other magic", "newer", "a developer's"),
        *("no regions", "operator without attributes", "parameter without a name"),
    ],
)
def test_file_that_is_no_whole_program_is_refused_by_name(tmp_path: Path, content: Any, said: str) -> None:
    path = write_program(tmp_path, content)
    with pytest.raises(ModelFormatError) as error:
        read_program(path)
    assert str(path) in error.value.found
    assert said in error.value.found


def folded(name: str, attributes: dict[str, Any], *operands: Any) -> Any:
    return fold(Operation(f"pd_op.{name}", (), (), attributes, ()), operands)


def test_constants_are_folded_into_the_values_that_paddle_would_compute() -> None:
    two = folded("full", {"shape": [], "value": 2, "dtype": "int64"})
    three = folded(
        "cast", {"dtype": "int64"}, folded("full", {"shape": [], "value": 3.0, "dtype": "float32"})
    )
    assert folded("stack", {"axis": 0}, [two, three]).tolist() == [2, 3]
    assert folded("full_int_array", {"value": [4, 5]}).tolist() == [4, 5]


def test_what_depends_on_an_input_or_is_large_is_no_constant() -> None:
    assert folded("stack", {"axis": 0}, None) is None
    assert folded("relu", {}, None) is None
    assert folded("full", {"shape": [100, 100], "value": 0, "dtype": "float32"}) is None
