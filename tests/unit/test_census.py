"""The operator census: what INT8 can reach, and what it announces as out of reach."""

from __future__ import annotations

import pytest

from paddle_int8.tasks.engines.paddle.census import NEVER, QUANTIZABLE, count_operators


def test_no_operator_is_both_quantizable_and_never_int8() -> None:
    assert not QUANTIZABLE & NEVER.keys()


@pytest.mark.parametrize("name", ["conv2d_transpose", "depthwise_conv2d_transpose", "conv3d_transpose"])
def test_transposed_convolutions_are_announced(name: str) -> None:
    census = count_operators(["conv2d", "conv2d", name, "relu"])
    assert (census.quantizable, census.compute) == (2, 3)
    assert "stays FP32" in census.never[name]


def test_operators_in_bodies_are_counted_and_told_apart() -> None:
    census = count_operators(["feed", "mul", "while", "fetch"], ["mul", "matmul_v2", "tanh"])
    assert (census.quantizable, census.nested, census.compute) == (3, 2, 4)
    assert census.counts == {"matmul_v2": 1, "mul": 2, "tanh": 1, "while": 1}
    assert "while" in census.never
