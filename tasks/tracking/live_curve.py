"""Logs the curve of a training to MLflow while the training runs.

Points that could not be logged meanwhile are added when the training has ended (`runs.log_training`).
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.engines.paddle.quantization.finetune import STEP
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.process.progress import Progress
from paddle_int8.tasks.tracking.connection import connection

POINTS = 200
"""The most points of a curve; a screen does not show more."""
EVERY_S = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve: the mean of the steps since the previous point.

    `step` is the last of these steps, counted from 1.
    """

    name: str
    step: int
    value: float


Log = Callable[[list[Point]], None]


def window_of(steps: int) -> int:
    """The number of steps that one point stands for."""
    return max(1, math.ceil(steps / POINTS))


def points(history: Mapping[str, Sequence[float | None]], steps: int) -> list[Point]:
    """The points of the whole curve. There are none where no step has a value, such as without classes."""
    window = window_of(steps)
    return [
        Point(name, min(start + window, steps), sum(part) / len(part))
        for name, values in history.items()
        for start in range(0, steps, window)
        if (part := [value for value in values[start : start + window] if value is not None])
    ]


def log_points(tracking_uri: str, run_id: str, found: list[Point]) -> None:
    """Logs the points as steps of the MLflow metrics `qat/<name>`."""
    from mlflow.entities import Metric

    now_ms = int(time.time() * 1000)
    metrics = [Metric(f"qat/{point.name}", point.value, now_ms, point.step) for point in found]
    with connection(tracking_uri) as client:
        client.log_batch(run_id, metrics=metrics)


class LiveCurve:
    """Listens to the steps of a training and logs points, at most once every `every_s` seconds.

    A logging error does not stop the training; nothing more is then logged until the training has ended.
    """

    def __init__(self, log: Log, *, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._every_s, self._clock = log, every_s, clock
        self._last = clock()
        self._heard = 0
        self._window: dict[str, list[float]] = defaultdict(list)
        self._waiting: list[Point] = []
        self._failed = False

    def hear(self, event: Progress) -> None:
        if event.step != STEP or not event.values or self._failed:
            return
        for name, value in event.values.items():
            if not math.isnan(value):
                self._window[name].append(value)
        self._heard += 1
        window = window_of(event.total)
        if event.done % window == 0 or event.done == event.total:
            if self._heard == (event.done - 1) % window + 1:  # a resumed training begins within a window
                self._waiting += [
                    Point(name, event.done, sum(values) / len(values))
                    for name, values in self._window.items()
                ]
            self._window.clear()
            self._heard = 0
        if self._waiting and self._clock() - self._last >= self._every_s:
            self._flush()

    def _flush(self) -> None:
        found, self._waiting = self._waiting, []
        try:
            self._log(found)
        except PipelineError as error:
            self._failed = True
            logger.warning("the curve will be logged when the training has ended, not before: %s", error)
        self._last = self._clock()


@contextmanager
def training_followed(tracking_uri: str, run_id: str) -> Iterator[None]:
    """While the context is open, logs the steps of trainings to the run `run_id`."""
    curve = LiveCurve(lambda found: log_points(tracking_uri, run_id, found), every_s=EVERY_S)
    with progress.listen(curve.hear):
        yield
