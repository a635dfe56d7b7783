"""The texts in a bundle can be written for every model that can be measured."""

from __future__ import annotations

import ast
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.engines.bundle import Deployment, ValidatedIsa
from paddle_int8.tasks.engines.example import EXAMPLE_INPUT, write_example
from paddle_int8.tasks.engines.paddle.bundle import pythons, requirements
from paddle_int8.tasks.engines.paddle.bundle_texts import (
    CPP,
    ELEMENTS,
    README,
    TRITON,
    TRITON_TYPES,
    code,
    cpp_string,
    render,
    why_no_cpp,
)
from paddle_int8.tasks.layouts import LAYOUTS

OTHERS = ("int16", "uint16", "complex64", "<U5")
SHAPES: tuple[tuple[int, ...], ...] = ((), (-1,), (-1, 1), (-1, 3, -1, -1), (2, 128))
NAMES = (
    "image",
    'a "b"',
    "back\\slash",
    "c\\",
    "`tick`",
    "a|b",
    "名前",
    "??/",
    "x/y.0",
    "%s {{ x }}",
    "two\nlines",
)


def deployment(*inputs: TensorSpec, outputs: tuple[TensorSpec, ...] = (), layout: str = "qdq") -> Deployment:
    return Deployment(
        schema_version=1,
        layout=layout,
        switches=LAYOUTS.find(layout).switches,
        threads=1,
        validated_on=(
            ValidatedIsa(isa=IsaLevel.AVX2, emulated=False, speedup=float("nan"), int8_share_by_count=1.0),
        ),
        inputs=inputs,
        outputs=outputs or inputs,
        preprocessing={"scale": None, "mean": [0.5]},
        digest="d" * 64,
        baseline_digest="b" * 64,
        validation_digest="v" * 64,
        versions={"paddlepaddle": "2.6.2", "numpy": "1.26.4", "onednn": "3.3.6"},
        requirements=requirements(),
        pythons=("3.8", "3.12"),
        strict=False,
    )


def spec(name: str = "x", dtype: str = "float32", *, sequence: bool = False) -> TensorSpec:
    return TensorSpec(name=name, shape=(-1, 4), dtype=dtype, sequence=sequence)


@pytest.mark.parametrize("layout", LAYOUTS.names())
@pytest.mark.parametrize("max_isa", ["", "avx512_core_vnni"])
def test_texts_of_every_dtype_and_shape_are_written(layout: str, max_isa: str) -> None:
    for dtype, shape, sequence in product((*ELEMENTS, *OTHERS), SHAPES, (False, True)):
        tensor = TensorSpec(name="x", shape=shape, dtype=dtype, sequence=sequence)
        packed = deployment(tensor, spec("mask", "bool"), outputs=(spec("y", "int64"), tensor), layout=layout)
        packed = replace(packed, switches=replace(packed.switches, max_isa=max_isa))
        texts = render(packed)
        assert (CPP in texts) == (dtype in ELEMENTS and not sequence)
        assert (TRITON in texts) == (dtype in TRITON_TYPES and shape != ())
        assert ("Triton Inference Server cannot" in texts[README]) == (TRITON not in texts)
        assert ("no example in C++" in texts[README]) == (CPP not in texts)


def test_cpp_example_feeds_each_input_by_name_and_dtype_and_reads_each_output() -> None:
    inputs = (spec("left"), spec("right", "float64"), spec("mask", "bool"))
    source = render(deployment(*inputs, outputs=(spec("scores"), spec("class", "int64"))))[CPP]
    assert [text in source for text in ("Feed<float>", "Feed<double>", "Feed<bool>")] == [True] * 3
    assert 'Fetch<float>(predictor, "scores"' in source
    assert 'Fetch<int64_t>(predictor, "class"' in source


def test_triton_is_told_each_tensor_with_the_lengths_of_sequences() -> None:
    words = TensorSpec(name='w"', shape=(-1, 1), dtype="int64", sequence=True)
    scores = TensorSpec(name="scores", shape=(-1, 4), dtype="float32", sequence=True)
    text = render(deployment(words, spec("mask", "bool"), outputs=(scores,), layout="recurrent"))[TRITON]
    inputs, outputs = text.split("output [")
    assert r'name: "w\042" data_type: TYPE_INT64 dims: [ -1, -1, 1 ] },' in inputs
    assert r'name: "w\042.lengths" data_type: TYPE_INT64 dims: [ -1 ] },' in inputs
    assert 'name: "mask" data_type: TYPE_BOOL dims: [ -1, 4 ] }\n]' in inputs
    assert 'name: "scores" data_type: TYPE_FP32 dims: [ -1, -1, 4 ] }\n]' in outputs


def test_readme_says_what_a_strict_bundle_does() -> None:
    lenient = deployment(spec())
    for strict, said in ((False, "logs a warning"), (True, "this bundle does not open")):
        assert said in render(replace(lenient, strict=strict))[README]


def test_readme_says_why_there_is_no_cpp_example() -> None:
    assert "output `n` is int16" in why_no_cpp(deployment(spec(), outputs=(spec("n", "int16"),)))
    texts = render(deployment(spec("words", "int64", sequence=True)))
    assert "input `words` holds sequences" in texts[README]


@pytest.mark.parametrize("name", NAMES)
def test_texts_of_any_name_hold_it_escaped(name: str) -> None:
    source = render(deployment(spec(name)))[CPP]
    assert source.isascii()
    assert cpp_string(name) in source
    assert ast.literal_eval(f"b{cpp_string(name)}").decode() == name


def test_code_span_of_backticks_has_a_longer_fence() -> None:
    assert code("x") == "`x`"
    assert code("a`b") == "`` a`b ``"
    assert code("a|b\nc") == "`a¦b c`"


def test_readme_names_paddle_and_its_pythons() -> None:
    readme = render(deployment(spec()))[README]
    assert "| Python | 3.8, 3.12 |" in readme
    assert "paddlepaddle==2.6.2" in readme
    assert pythons() == ("3.8", "3.9", "3.10", "3.11", "3.12")


@pytest.mark.parametrize("name", ["file", "args", "self", "x/y", 'a "b"', "名前"])
def test_example_of_any_name_is_written_and_read(name: str, tmp_path: Path) -> None:
    write_example(tmp_path, {name: np.eye(2)}, {name: np.array([True])})
    with np.load(tmp_path / EXAMPLE_INPUT) as stored:
        assert stored.files == [name]
        np.testing.assert_array_equal(stored[name], np.eye(2))
