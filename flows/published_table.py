"""The flow that measures the rows of Paddle's published tables, one release after another."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from paddle_int8.flows.release import release
from paddle_int8.flows.server.fan_out import fanned_out
from paddle_int8.flows.server.lifecycle.cancellation import cancelled_with_the_program
from paddle_int8.tasks.config.hardware import HardwareConfig, HardwarePolicy
from paddle_int8.tasks.config.model import TrainedModel
from paddle_int8.tasks.config.parameter import Parameter
from paddle_int8.tasks.config.release import FanOut, ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.hardware.task import check_hardware
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.published.measured import (
    Halves,
    Measured,
    Unmeasured,
    extra_rows,
    measured,
    published_rows,
)
from paddle_int8.tasks.published.pace import STEP, Pace
from paddle_int8.tasks.published.plan import Item, fitted, planned
from paddle_int8.tasks.published.request import TableRequest
from paddle_int8.tasks.published.table import Table
from paddle_int8.tasks.published.task import find_record, keep_record, publish_table
from paddle_int8.tasks.tracking.runs import versions
from paddle_int8.tasks.training.task import start_training


@flow(name="published-table", flow_run_name="published table", persist_result=False)
def published_table(request: Parameter[TableRequest]) -> tuple[Table, Path]:
    """Measures every row that has a release and publishes the table. Returns it with its Markdown file.

    All models are trained first, several at a time. Then one release runs after another. When a training or
    a release fails, its row shows the reason, and the others go on.
    """
    folder = (request.configs or Settings().configs / "published").expanduser().resolve()
    with cancelled_with_the_program(flow_run.id):
        host = check_hardware(HardwareConfig(policy=HardwarePolicy.IGNORE))
        known = {(item.row.key, item.column): _known(item, host) for item in planned(folder, request)}
        waiting = [each for each in known.values() if isinstance(each, ReleaseConfig)]
        untrained = _train(waiting, request.task_runner)
        pace = Pace(total=len(waiting))
        halves = {
            half: _measure(each, host, pace, untrained, request) if isinstance(each, ReleaseConfig) else each
            for half, each in known.items()
        }
        progress.end(STEP)
        table = _table(halves, host, request)
        return table, publish_table(table)


def _known(item: Item, host: HostProfile) -> Measured | Unmeasured | ReleaseConfig:
    """What an earlier run measured of half a row, or why it has no figure, or the release to run."""
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
    request: TableRequest,
) -> Measured | Unmeasured:
    """Runs one release and returns its figures; when it fails, the error becomes the reason of the row."""
    pace.report(config.name)
    started = time.monotonic()
    try:
        if (error := untrained.get(_recipe(config))) is not None:
            raise error
        if request.task_runner is not None:
            config = config.model_copy(update={"task_runner": request.task_runner})
        found = measured(release(config), config)
        keep_record(config, host, found)
        return found
    except PipelineError as error:
        return Unmeasured(reason=str(error))
    finally:
        pace.seconds.append(time.monotonic() - started)


def _table(halves: Halves, host: HostProfile, request: TableRequest) -> Table:
    return Table(
        rows=published_rows(halves),
        extras=extra_rows(halves),
        host=host,
        versions=versions(),
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        command=request.command,
        quick=request.quick,
    )
