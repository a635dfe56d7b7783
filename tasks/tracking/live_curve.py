"""The curve of a training in MLflow while it is trained.

What could not be logged on the way is added when the training has ended, see `runs.log_training`.
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
"""Of a curve, more than a screen shows."""
EVERY_S = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Point:
    """The mean of the steps since the point before; `step` is the last of them, from 1."""

    name: str
    step: int
    value: float


Log = Callable[[list[Point]], None]


def window_of(steps: int) -> int:
    """Steps to a point."""
    return max(1, math.ceil(steps / POINTS))


def points(history: Mapping[str, Sequence[float | None]], steps: int) -> list[Point]:
    """The whole curve; of steps that have no value, such as an accuracy of what has no classes, none."""
    window = window_of(steps)
    return [
        Point(name, min(start + window, steps), sum(part) / len(part))
        for name, values in history.items()
        for start in range(0, steps, window)
        if (part := [value for value in values[start : start + window] if value is not None])
    ]


def log_points(tracking_uri: str, run_id: str, found: list[Point]) -> None:
    """As steps of the metrics `qat/<name>`."""
    from mlflow.entities import Metric

    now_ms = int(time.time() * 1000)
    metrics = [Metric(f"qat/{point.name}", point.value, now_ms, point.step) for point in found]
    with connection(tracking_uri) as client:
        client.log_batch(run_id, metrics=metrics)


class LiveCurve:
    """Hears a training's steps and logs its points, not more often than every `every_s` seconds.

    A training goes on without its curve: after an error nothing more is logged until it has ended.
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
            logger.warning("the curve is logged when the training has ended: %s", error)
        self._last = self._clock()


@contextmanager
def training_followed(tracking_uri: str, run_id: str) -> Iterator[None]:
    """Logs on run `run_id` what is trained while the context is open."""
    curve = LiveCurve(lambda found: log_points(tracking_uri, run_id, found), every_s=EVERY_S)
    with progress.listen(curve.hear):
        yield
