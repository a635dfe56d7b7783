"""The choice of operators by the names that a person can give them."""

from __future__ import annotations

import pytest

from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.operators import NamedOperator, select


def _operator(layer: str, kind: str, reads: tuple[str, ...], *writes: str) -> NamedOperator:
    return NamedOperator(layer=layer, type=kind, reads=reads, writes=writes)


# x -> stem -> a -> left  -> l -> sum -> s -> head (its weights are those of `twice` too) -> h -> h2
#                a -> right -> r --^
NETWORK = (
    _operator("stem", "conv2d", ("x",), "a"),
    _operator("block[1]/left", "conv2d", ("a",), "l"),
    _operator("block[1]/right", "depthwise_conv2d", ("a",), "r"),
    _operator("s", "elementwise_add", ("l", "r"), "s"),
    _operator("head", "matmul_v2", ("s",), "h"),
    _operator("head", "matmul_v2", ("h",), "h2"),
)


@pytest.mark.parametrize(
    ("pattern", "tensors"),
    [
        pytest.param("stem", ["a"], id="layer"),
        pytest.param("h2", ["h2"], id="tensor"),
        pytest.param("conv2d", ["a", "l"], id="type"),
        pytest.param("*conv2d", ["a", "l", "r"], id="types by wildcard"),
        pytest.param("block[1]/left", ["l"], id="brackets in a name"),
        pytest.param("block*left", ["l"], id="wildcard"),
        pytest.param("head", ["h", "h2"], id="two operators of one name"),
        pytest.param("stem..s", ["a", "l", "r", "s"], id="both ways between"),
        pytest.param("block[1]/left .. head", ["l", "s", "h", "h2"], id="one way between"),
    ],
)
def test_select_pattern_means_these(pattern: str, tensors: list[str]) -> None:
    assert [op.writes[0] for op in select(NETWORK, [pattern])] == tensors


def test_select_several_patterns_each_operator_once() -> None:
    assert [op.layer for op in select(NETWORK, ["head", "stem", "a"])] == ["stem", "head", "head"]


def test_select_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"keep_fp32: hed.*called 'hed', did you mean `head`"):
        select(NETWORK, ["stem", "hed"])


def test_select_no_way_between_says_so() -> None:
    with pytest.raises(ConfigError, match="no operator on a way from head to stem"):
        select(NETWORK, ["head..stem"])


def test_select_half_unknown_names_that_half() -> None:
    with pytest.raises(ConfigError, match=r"called 'stm', did you mean `stem`\?\n"):
        select(NETWORK, ["stm..s"])
