"""The slowness of a host, and limits that stretch with it, by a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from paddle_int8.tasks.process.pace import MOST, REFERENCE_S, Patience, slowness


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("took_s", "expected"),
    [
        pytest.param(REFERENCE_S / 2, 1.0, id="faster than the reference"),
        pytest.param(REFERENCE_S, 1.0, id="the reference"),
        pytest.param(5 * REFERENCE_S, 5.0, id="a fifth"),
        pytest.param(1000 * REFERENCE_S, MOST, id="bounded"),
    ],
)
def test_slowness_is_wall_time_over_the_references(took_s: float, expected: float) -> None:
    readings: Iterator[float] = iter((1000.0, 1000.0 + took_s))
    assert slowness(lambda: next(readings)) == pytest.approx(expected)


def test_limit_on_a_slow_host_is_stretched() -> None:
    clock = Clock()
    patience = Patience(180, clock=clock, measure=lambda: 5.0)
    clock.now_s += 899
    assert (patience.limit_s, patience.is_over()) == (900, False)
    clock.now_s += 2
    assert patience.is_over()


def test_limit_of_a_host_that_has_become_slower_is_stretched_when_it_passes() -> None:
    clock, speeds = Clock(), iter((1.0, 4.0, 4.0))
    patience = Patience(10, clock=clock, measure=lambda: next(speeds))
    clock.now_s += 11
    assert not patience.is_over()
    assert patience.limit_s == 40
    clock.now_s += 30
    assert patience.is_over()
