"""Whole networks: Paddle 3 exports each and answers, Paddle 2.6 gives the same answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.integration.paddle3.run import Outcome

pytestmark = [pytest.mark.paddle, pytest.mark.sweep]
MOST = 1e-5
"""The greatest difference of an answer, in parts of its greatest value or of 1, whichever is more."""
FAMILIES = (
    *("alexnet", "densenet121", "googlenet", "inception_v3", "lenet", "mobilenet_v1", "mobilenet_v2"),
    *("mobilenet_v3_large", "mobilenet_v3_small", "resnet18", "resnet50", "resnext50_32x4d"),
    *("shufflenet_v2_swish", "shufflenet_v2_x0_25", "squeezenet1_0", "squeezenet1_1", "vgg11"),
    "wide_resnet50_2",
)
WRITTEN_HERE = (
    *("crnn", "detector", "ernie", "gru of text", "loop", "loop with exchange", "segmenter", "transformer"),
)


@pytest.fixture(scope="module")
def found(outcomes: Callable[[str], Mapping[str, Outcome]]) -> Mapping[str, Outcome]:
    return outcomes("network_cases")


@pytest.mark.parametrize("network", [*FAMILIES, *WRITTEN_HERE])
def test_network_answers_in_paddle26_as_in_paddle3(found: Mapping[str, Outcome], network: str) -> None:
    assert found[network].error == ""
    assert found[network].difference <= MOST


def test_every_network_that_is_exported_is_looked_at(found: Mapping[str, Outcome]) -> None:
    assert set(found) == {*FAMILIES, *WRITTEN_HERE}
