"""Weight scales of fused recurrent operators, and the algorithms that make a candidate of them."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.errors import ConversionError
from paddle_int8.tasks.engines.paddle.conversion.recurrent import (
    gru_weight_scale,
    input_factors,
    lstm_weight_scale,
)
from paddle_int8.tasks.engines.paddle.quantization.recurrent import EQUAL, difference

HIDDEN = 2


def test_gru_scale_of_a_channel_is_over_input_and_hidden_weights_as_they_lie_in_memory() -> None:
    by_input = np.full((3, 3 * HIDDEN), 0.5)
    update_reset = np.array([[1, 2, 3, 4], [-9, 0, 0, 0]])
    candidate = np.array([[5, 0.1], [0, -0.2]])
    by_hidden = np.concatenate([update_reset.ravel(), candidate.ravel()]).reshape(HIDDEN, 3 * HIDDEN)
    assert gru_weight_scale(by_input, by_hidden).tolist() == [9, 2, 3, 4, 5, 0.5]


def test_lstm_scale_of_a_channel_is_over_input_and_hidden_weights() -> None:
    assert lstm_weight_scale(np.array([[1.0, -2]]), np.array([[-3.0, 1]])).tolist() == [3, 2]


def test_layout_recurrent_takes_the_algorithms_that_it_has() -> None:
    config = QuantizationConfig(algorithms=("mse", "KL"), layouts=("recurrent", "qdq"))
    assert [each.name for each in config.candidates()] == ["mse-qdq", "KL-recurrent", "KL-qdq"]


def test_layout_recurrent_alone_with_another_algorithm_is_refused() -> None:
    with pytest.raises(ValidationError, match="calibrated with one of abs_max, avg, hist, KL"):
        QuantizationConfig(algorithms=("mse",), layouts=("recurrent",))


def test_weights_make_up_for_what_their_input_is_larger_than_hidden_states() -> None:
    reads = [("words", ["forward", "backward"]), ("layer", ["deeper"]), ("words", ["forward"])]
    assert input_factors(reads, {"words": 8.0, "layer": 1.0}) == {"forward": 8, "backward": 8, "deeper": 1}


def test_weight_of_two_inputs_of_different_ranges_is_refused() -> None:
    with pytest.raises(ConversionError, match="the weight shared in two"):
        input_factors([("words", ["shared"]), ("layer", ["shared"])], {"words": 8.0, "layer": 1.0})


@pytest.mark.parametrize(
    ("greatest", "allowed"), [(0.01, EQUAL), (1.0, EQUAL), (20.0, 20 * EQUAL)], ids=["small", "one", "twenty"]
)
def test_rewritten_outputs_are_held_to_their_greatest_or_to_one(greatest: float, allowed: float) -> None:
    original = np.array([[greatest, 0.0]])
    for off, equal in ((0.99 * allowed, True), (1.01 * allowed, False)):
        assert (difference(original, original + np.array([[0.0, off]])) < EQUAL) == equal


def test_rewritten_outputs_that_are_no_numbers_are_not_equal() -> None:
    assert not difference(np.array([1.0, np.nan]), np.array([1.0, 2.0])) < EQUAL
    assert not difference(np.array([1.0, 2.0]), np.array([np.nan, 2.0])) < EQUAL
