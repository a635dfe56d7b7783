"""The choice between the two integers next to a weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from paddle_int8.tasks.engines.paddle.quantization.rounding import (
    least_output_error,
    mean_preserving,
    nearest,
)
from paddle_int8.tasks.engines.paddle.quantization.weights import Grams, Roundable, rounded_weight

Array = npt.NDArray[Any]
GENERATOR = np.random.default_rng(0)
STEPS = GENERATOR.standard_normal((16, 60)) * 30
INPUTS = np.abs(GENERATOR.standard_normal((400, 60)) @ GENERATOR.standard_normal((60, 60)))


def _output_error(rounded: Array, inputs: Array = INPUTS) -> float:
    return float(np.square(inputs @ (rounded - STEPS).T).sum())


def test_mean_preserving_rounding_leaves_at_most_half_a_step_in_a_channels_sum() -> None:
    assert np.abs((nearest(STEPS) - STEPS).sum(axis=1)).max() > 0.5
    assert np.abs((mean_preserving(STEPS) - STEPS).sum(axis=1)).max() <= 0.5


@pytest.mark.parametrize("start", [nearest, mean_preserving], ids=["nearest", "mean preserving"])
def test_adaround_on_correlated_inputs_halves_the_output_error(start: Any) -> None:
    gram = INPUTS.T @ INPUTS / len(INPUTS)
    rounded = least_output_error(STEPS, start(STEPS), gram)
    assert _output_error(rounded) < 0.5 * _output_error(nearest(STEPS))
    assert _output_error(rounded) <= _output_error(start(STEPS))


@pytest.mark.parametrize("rounding", ["mean", "inputs", "both"])
def test_rounded_weights_are_neighbours_on_the_integer_grid(rounding: str) -> None:
    gram = (INPUTS.T @ INPUTS)[None] if rounding != "mean" else None
    weight = STEPS.T.astype(np.float32)
    scale = np.abs(weight).max(axis=0)
    rounded = rounded_weight(weight, scale.tolist(), axis=1, gram=gram, keep_mean=rounding != "inputs")
    integers = rounded / scale * 127
    assert np.abs(integers - np.rint(integers)).max() < 1e-4
    assert np.abs(integers).max() <= 127 + 1e-4
    assert np.abs(rounded - weight).max() <= (scale / 127).max() * (1 + 1e-5)


@pytest.mark.parametrize("groups", [1, 3, 6], ids=["dense", "grouped", "depthwise"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 1)], ids=["dense strides", "strided"])
def test_gram_of_a_convolutions_input_gives_its_outputs_energy(groups: int, strides: tuple[int, int]) -> None:
    """Sum of squared outputs = w^T (sum of x x^T) w; the outputs by the definition of convolution."""
    values = GENERATOR.standard_normal((2, 6, 7, 8)).astype(np.float32)
    weight = GENERATOR.standard_normal((6, 6 // groups, 3, 2)).astype(np.float32)
    layer = Roundable(
        weight="w",
        source="x",
        kind="convolution",
        strides=strides,
        paddings=(1, 2, 0, 1),
        dilations=(2, 1),
        groups=groups,
    )
    grams = Grams()
    grams.add(layer, values, weight.shape)
    gram = grams.mean(layer)
    assert gram is not None
    outputs = _convolution(values, weight, layer)
    per_group = weight.reshape(groups, 6 // groups, -1)
    energy = np.einsum("goi,gij,goj->", per_group, gram, per_group)
    positions = outputs.shape[0] * outputs.shape[2] * outputs.shape[3]
    assert energy == pytest.approx(np.square(outputs).sum() / positions, rel=1e-4)


def _convolution(values: Array, weight: Array, layer: Roundable) -> Array:
    """[N, O, H', W'], one output at a time."""
    top, bottom, left, right = layer.paddings
    padded = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
    height, width = weight.shape[2:]
    share = weight.shape[1]
    rows = range(0, padded.shape[2] - layer.dilations[0] * (height - 1), layer.strides[0])
    columns = range(0, padded.shape[3] - layer.dilations[1] * (width - 1), layer.strides[1])
    outputs = np.zeros((len(values), len(weight), len(rows), len(columns)))
    for channel, kernel in enumerate(weight):
        first = channel // (len(weight) // layer.groups) * share
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                patch = padded[
                    :, first : first + share, row :: layer.dilations[0], column :: layer.dilations[1]
                ]
                outputs[:, channel, i, j] = (patch[:, :, :height, :width] * kernel).sum(axis=(1, 2, 3))
    return outputs
