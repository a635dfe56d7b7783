"""What is said of single layers of a model that was quantized elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paddle_int8.tasks.engines.paddle.given.layers import QuantizedLayer
from paddle_int8.tasks.engines.paddle.given.model import findings_of_layers

GOOD = QuantizedLayer(
    name="conv2d_0",
    type="conv2d",
    output="conv2d_0.tmp_0",
    quantized=True,
    threshold=2.5,
    per_tensor=False,
    bits=frozenset({8}),
)


def test_layers_that_are_quantized_well_are_not_spoken_of() -> None:
    computed_anew = replace(GOOD, threshold=None)
    assert not findings_of_layers((GOOD, computed_anew))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantized": False, "threshold": None}, "1 of its 2 layers has no scale"),
        ({"threshold": 0.0}, "1 of its 2 layers has a scale of zero"),
        ({"threshold": float("nan")}, "1 of its 2 layers has a scale of zero or one that is not a number"),
        ({"threshold": float("inf")}, "not a number"),
        ({"per_tensor": True}, "1 of its 2 layers has one scale for the whole weight"),
        ({"bits": frozenset({4, 8})}, "1 of its 2 layers has another number of bits than 8"),
    ],
)
def test_layer_with_a_fault_is_named(changes: dict[str, object], said: str) -> None:
    (found,) = findings_of_layers((GOOD, replace(GOOD, name="linear_7", **changes)))  # type: ignore[arg-type]
    assert said in found
    assert "linear_7" in found
    assert "conv2d_0" not in found


def test_many_layers_are_counted_and_some_of_them_named() -> None:
    (found,) = findings_of_layers(tuple(replace(GOOD, name=f"l{n}", per_tensor=True) for n in range(30)))
    assert "30 of its 30 layers have" in found
    assert "l7 and 22 more" in found


def test_model_without_any_quantized_layer_is_said_to_be_one() -> None:
    (found,) = findings_of_layers((replace(GOOD, quantized=False, threshold=None),))
    assert found.startswith("None of its layers")
