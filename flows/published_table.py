"""The flow that measures the rows of Paddle's published tables, one release after another."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import fmean
from uuid import UUID

from prefect import flow
from prefect.runtime import flow_run

from paddle_int8.flows.release import release
from paddle_int8.flows.server.cancellation import cancel_in_prefect, on_cancel
from paddle_int8.flows.server.fan_out import fanned_out
from paddle_int8.tasks.config.hardware import HardwareConfig, HardwarePolicy
from paddle_int8.tasks.config.model import TrainedModel
from paddle_int8.tasks.config.release import FanOut, ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.hardware.task import check_hardware
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.published.figures import EXTRAS, PUBLISHED, RowKey
from paddle_int8.tasks.published.measured import Extra, Measured, Row, Unmeasured, measured
from paddle_int8.tasks.published.plan import Item, fitted, planned
from paddle_int8.tasks.published.request import Column, TableRequest
from paddle_int8.tasks.published.table import Table
from paddle_int8.tasks.published.task import find_record, keep_record, publish_table
from paddle_int8.tasks.tracking.runs import versions
from paddle_int8.tasks.training.task import start_training

STEP = "published table"


@dataclass(slots=True)
class Pace:
    """The durations of this run's releases so far, to estimate how long the others take."""

    total: int
    seconds: list[float] = field(default_factory=list)

    def report(self, name: str) -> None:
        left = self.total - len(self.seconds)
        estimate = (
            f", about {max(1, round(fmean(self.seconds) * left / 60))} min left" if self.seconds else ""
        )
        progress.report(STEP, len(self.seconds), self.total, f"{name}{estimate}")


@flow(name="published-table", flow_run_name="published table", persist_result=False)
def published_table(request: TableRequest) -> tuple[Table, Path]:
    """Measures every row that has a release and publishes the table. Returns it with its Markdown file.

    All models are trained first, several at a time. Then one release runs after another. When a training or
    a release fails, its row shows the reason, and the others go on.
    """
    forget = on_cancel(partial(cancel_in_prefect, UUID(flow_run.id))) if flow_run.id else None
    folder = (request.configs or Settings().configs / "published").expanduser().resolve()
    try:
        host = check_hardware(HardwareConfig(policy=HardwarePolicy.IGNORE))
        known = {(item.row.key, item.column): _known(item, host) for item in planned(folder, request)}
        waiting = [each for each in known.values() if isinstance(each, ReleaseConfig)]
        untrained = _train(waiting, request.task_runner)
        pace = Pace(total=len(waiting))
        halves = {
            half: _measure(each, host, pace, untrained, request.task_runner)
            if isinstance(each, ReleaseConfig)
            else each
            for half, each in known.items()
        }
        progress.end(STEP)
        table = Table(
            rows=_rows(halves),
            extras=tuple(Extra(row=extra, accuracy=halves[extra.key, Column.ACCURACY]) for extra in EXTRAS),
            host=host,
            versions=versions(),
            date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            command=_command(request),
            quick=request.quick,
        )
        return table, publish_table(table)
    finally:
        if forget:
            forget()


def _known(item: Item, host: HostProfile) -> Measured | Unmeasured | ReleaseConfig:
    """What is known about one half of a row.

    That is what an earlier run measured, or the reason why there is no figure, or the release to run.
    """
    if isinstance(item.config, Unmeasured):
        return item.config
    config = fitted(item.config, host)
    try:
        found = find_record(config, host)
    except PipelineError as error:
        return Unmeasured(reason=str(error))
    return found or (Unmeasured(reason=item.skipped) if item.skipped else config)


def _train(configs: Iterable[ReleaseConfig], task_runner: FanOut | None) -> dict[str, PipelineError]:
    """Trains the models of the releases. Returns the errors of the trainings that failed, by recipe."""
    recipes = {_recipe(each): each.model for each in configs if isinstance(each.model, TrainedModel)}
    failed: dict[str, PipelineError] = {}
    with fanned_out(task_runner):
        trainings = {recipe: start_training(model) for recipe, model in recipes.items()}
        for done, (recipe, training) in enumerate(trainings.items()):
            progress.report(STEP, done, len(trainings), "models trained")
            try:
                training.result()
            except PipelineError as error:
                failed[recipe] = error
    return failed


def _recipe(config: ReleaseConfig) -> str:
    return config.model.model_dump_json()


def _measure(
    config: ReleaseConfig,
    host: HostProfile,
    pace: Pace,
    untrained: Mapping[str, PipelineError],
    task_runner: FanOut | None,
) -> Measured | Unmeasured:
    """Runs one release and returns its figures; when it fails, the error becomes the reason of the row."""
    pace.report(config.name)
    started = time.monotonic()
    try:
        if (error := untrained.get(_recipe(config))) is not None:
            raise error
        if task_runner is not None:
            config = config.model_copy(update={"task_runner": task_runner})
        found = measured(release(config), config)
        keep_record(config, host, found)
        return found
    except PipelineError as error:
        return Unmeasured(reason=str(error))
    finally:
        pace.seconds.append(time.monotonic() - started)


def _rows(halves: Mapping[tuple[RowKey, Column], Measured | Unmeasured]) -> tuple[Row, ...]:
    return tuple(
        Row(
            published=row,
            speed=halves[row.key, Column.SPEED],
            accuracy=halves[row.key, Column.ACCURACY],
        )
        for row in PUBLISHED
    )


def _command(request: TableRequest) -> str:
    words = ["paddle-int8 published-table", *(f"--only {key}" for key in request.only)]
    words += [f"--column {request.column}"] if request.column else []
    if request.imagenet:  # the path itself would only be true on the worker
        words += ["--imagenet-root IMAGENET"]
    return " ".join([*words, *(["--quick"] if request.quick else [])])
