"""Reads back what Prefect and MLflow recorded about a release."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddle_int8.tasks.process.pace import Patience
from paddle_int8.tasks.tracking.connection import connection

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

EVENTS = "paddle-int8."
PATIENCE_S = 20
"""Prefect's server records task runs from a queue of events, a little after they end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRecord:
    """State of a flow run, and of its task runs by name."""

    state: str
    tasks: dict[str, str]

    def in_state(self, state: str) -> list[str]:
        return [name for name, found in self.tasks.items() if found == state]


def read_flow(client: SyncPrefectClient, name: str) -> FlowRecord:
    """The only flow run called `name`."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterName

    (flow,) = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])))
    ids = FlowRunFilter(id=FlowRunFilterId(any_=[flow.id]))
    runs = client.read_task_runs(flow_run_filter=ids)
    return FlowRecord(
        state=str(flow.state_type and flow.state_type.value),
        tasks={run.name: str(run.state_type and run.state_type.value) for run in runs},
    )


def eventually(read: Callable[[], FlowRecord], enough: Callable[[FlowRecord], object]) -> FlowRecord:
    """The first of `read()` that is enough, or the last."""
    patience = Patience(PATIENCE_S)
    while not enough(found := read()) and not patience.is_over():
        time.sleep(0.2)
    return found


def read_runs(tracking_uri: str, release: str) -> list[Any]:
    """Every run of the releases called `release`, as MLflow's Run."""
    with connection(tracking_uri) as client:
        experiment = client.get_experiment_by_name(release)
        assert experiment is not None, f"no experiment {release}"
        return list(client.search_runs([experiment.experiment_id]))


def read_run(tracking_uri: str, release: str) -> Any:
    """The parent run of the only release called `release`."""
    (parent,) = [run for run in read_runs(tracking_uri, release) if "mlflow.parentRunId" not in run.data.tags]
    return parent


def embedded_flow_states(home: Path) -> list[str]:
    """States of the flow runs in the database that a release without servers leaves behind."""
    with closing(sqlite3.connect(home / "prefect" / "prefect.db")) as database:
        return [state for (state,) in database.execute("select state_type from flow_run")]


def told_events(name: str) -> list[str]:
    """This project's events about the release or model called `name`, oldest first."""
    from prefect.client.orchestration import get_client

    wanted = {
        "filter": {
            "event": {"prefix": [EVENTS]},
            "resource": {"id": [f"{EVENTS}model.{name}"]},
            "order": "ASC",
        }
    }
    with get_client(sync_client=True) as client:
        found = client.request("POST", "/events/filter", json=wanted).raise_for_status().json()
    return [event["event"].removeprefix(EVENTS) for event in found["events"]]
