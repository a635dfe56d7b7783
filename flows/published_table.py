"""A release for every published model, one at a time, and the published tables with what came out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

from prefect import flow
from prefect.runtime import flow_run

from flows.cancellation import cancel_in_prefect, on_cancel
from flows.fan_out import require_answer
from flows.release import release
from tasks import progress
from tasks.artifacts import HostProfile
from tasks.config import FanOut, HardwareConfig, HardwarePolicy
from tasks.errors import PipelineError
from tasks.hardware.task import check_hardware
from tasks.published.figures import EXTRAS, PUBLISHED, RowKey
from tasks.published.measured import Extra, Measured, Row, Unmeasured, measured
from tasks.published.plan import Item, fitted, planned
from tasks.published.request import Column, TableRequest
from tasks.published.table import Table
from tasks.published.task import find_record, keep_record, publish_table
from tasks.settings import Settings
from tasks.tracking.runs import versions

STEP = "published table"


@dataclass(slots=True)
class Pace:
    """How long the releases of this run took, to estimate the rest."""

    total: int
    seconds: list[float] = field(default_factory=list)
    done: int = 0

    def report(self, name: str) -> None:
        left = self.total - self.done
        mean = sum(self.seconds) / len(self.seconds) if self.seconds else 0.0
        estimate = f", about {max(1, round(mean * left / 60))} min left" if mean and left else ""
        progress.report(STEP, self.done, self.total, f"{name}{estimate}")


@flow(name="published-table", flow_run_name="published table", persist_result=False)
def published_table(request: TableRequest) -> tuple[Table, Path]:
    """Measures every row that has a release, and publishes the table; returns it with its Markdown file.

    A release that fails leaves its row marked with the reason, and the others go on.
    """
    forget = on_cancel(partial(cancel_in_prefect, UUID(flow_run.id))) if flow_run.id else None
    folder = (request.configs or Settings().configs / "published").expanduser().resolve()
    try:
        require_answer(request.task_runner)
        items = planned(folder, request)
        host = check_hardware(HardwareConfig(policy=HardwarePolicy.IGNORE))
        pace = Pace(total=sum(_to_run(item) for item in items))
        halves = {
            (item.row.key, item.column): _measure(item, host, pace, request.task_runner) for item in items
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


def _measure(item: Item, host: HostProfile, pace: Pace, task_runner: FanOut | None) -> Measured | Unmeasured:
    """What is known of one half of a row; a failed release is known by its error."""
    if isinstance(item.config, Unmeasured):
        return item.config
    config = fitted(item.config, host)
    if item.skipped:
        return find_record(config, host) or Unmeasured(reason=item.skipped)
    pace.report(config.name)
    started = time.monotonic()
    try:
        found = find_record(config, host)
        if found is None:
            if task_runner is not None:
                config = config.model_copy(update={"task_runner": task_runner})
            found = measured(release(config), config)
            keep_record(config, host, found)
            pace.seconds.append(time.monotonic() - started)
        return found
    except PipelineError as error:
        return Unmeasured(reason=str(error))
    finally:
        pace.done += 1


def _to_run(item: Item) -> bool:
    return not item.skipped and not isinstance(item.config, Unmeasured)


def _rows(halves: dict[tuple[RowKey, Column], Measured | Unmeasured]) -> tuple[Row, ...]:
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
    if request.imagenet:  # by name: the paths are the worker's own
        words += ["--imagenet-root IMAGENET"]
    return " ".join([*words, *(["--quick"] if request.quick else [])])
