"""The curve of a training has the same points during it as at its end, and never slows it down."""

from __future__ import annotations

import math

import pytest

from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.engines.paddle.quantization.finetune import STEP
from paddle_int8.tasks.process.progress import Progress
from paddle_int8.tasks.tracking.live_curve import POINTS, LiveCurve, Point, points, window_of


def losses(steps: int) -> list[float | None]:
    return [1 / (number + 1) for number in range(steps)]


def heard(steps: int, *, first: int = 0, every_s: float = 0.0, clock_s: float = 1.0) -> list[Point]:
    """What is logged on the way of a training that does its steps from `first` on, each in `clock_s`."""
    logged: list[Point] = []
    seconds = iter(range(10**6))
    curve = LiveCurve(logged.extend, every_s=every_s, clock=lambda: clock_s * next(seconds))
    for number, loss in list(enumerate(losses(steps)))[first:]:
        assert loss is not None
        values = {"loss": loss, "accuracy": math.nan}
        curve.hear(Progress(step=STEP, done=number + 1, total=steps, values=values))
    return logged


@pytest.mark.parametrize("steps", [1, 8, POINTS, POINTS + 1, 5 * POINTS + 3])
def test_points_on_the_way_are_those_of_the_whole_history(steps: int) -> None:
    history = {"loss": losses(steps), "accuracy": [None] * steps}
    assert heard(steps) == points(history, steps)


@pytest.mark.parametrize("begun", [1, 2, 4])
@pytest.mark.parametrize("steps", [5 * POINTS, 5 * POINTS - 2], ids=["even", "a short last window"])
def test_resumed_training_adds_only_points_that_it_has_seen_whole(steps: int, begun: int) -> None:
    whole = points({"loss": losses(steps)}, steps)
    assert heard(steps, first=10 * window_of(steps) + begun) == whole[11:]


def test_logging_waits_between_two_times() -> None:
    assert heard(8, every_s=10**6) == []


def test_registry_that_fails_is_asked_once_and_the_training_goes_on() -> None:
    asked = []

    def refuse(found: list[Point]) -> None:
        asked.append(found)
        raise RegistryError(found="no answer", required="MLflow", remedy="start it")

    curve = LiveCurve(refuse, every_s=0.0)
    for number in range(8):
        curve.hear(Progress(step=STEP, done=number + 1, total=8, values={"loss": 1.0}))
    assert len(asked) == 1


def test_other_steps_are_not_of_the_curve() -> None:
    logged: list[Point] = []
    curve = LiveCurve(logged.extend, every_s=0.0)
    curve.hear(Progress(step="calibrate", done=1, total=1, values={"loss": 1.0}))
    curve.hear(Progress(step=STEP, done=1, total=1))
    assert logged == []
