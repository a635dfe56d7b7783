"""The agreement of detected regions."""

from __future__ import annotations

import numpy as np
import pytest

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.data.metrics.regions import overlap, region_agreement, regions


def probabilities(*boxes: tuple[int, int, int, int], value: float = 0.9) -> Array:
    """[1, 1, 40, 60] with `value` inside each (top, left, bottom, right)."""
    page = np.zeros((1, 1, 40, 60), np.float32)
    for top, left, bottom, right in boxes:
        page[0, 0, top:bottom, left:right] = value
    return page


ONE, TWO = (2, 2, 10, 30), (20, 5, 30, 50)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        pytest.param([ONE, TWO], [ONE, TWO], 1.0, id="the same"),
        pytest.param([], [], 1.0, id="nothing on either side"),
        pytest.param([ONE], [], 0.0, id="one invented"),
        pytest.param([], [ONE], 0.0, id="one missed"),
        pytest.param([ONE], [ONE, TWO], 2 / 3, id="one of two missed"),
        pytest.param([(2, 2, 10, 16)], [ONE], 1.0, id="half of a region"),
        pytest.param([(2, 2, 10, 15)], [ONE], 0.0, id="less than half of a region"),
        pytest.param([ONE], [TWO], 0.0, id="elsewhere"),
    ],
)
def test_region_agreement_counts_regions_of_the_same_place(
    ours: list[tuple[int, int, int, int]], theirs: list[tuple[int, int, int, int]], expected: float
) -> None:
    (found,) = region_agreement([probabilities(*ours)], None, [probabilities(*theirs)])
    assert found == pytest.approx(expected)


def test_region_agreement_of_nan_is_that_of_nothing_found() -> None:
    broken = np.full_like(probabilities(), np.nan)
    assert region_agreement([broken], None, [probabilities(ONE)]).tolist() == [0.0]


def test_regions_leaves_out_specks_and_what_is_below_the_threshold() -> None:
    page = probabilities(ONE, (30, 50, 33, 53))[0, 0]
    assert regions(page) == [ONE]
    assert regions(probabilities(ONE, value=0.3)[0, 0]) == []


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1.0
    assert overlap((0, 0, 2, 2), (0, 1, 2, 3)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 2, 2), (2, 2, 4, 4)) == 0.0
