"""Clears up what a release that was killed with `kill -9` left behind: open runs and temporary folders."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from paddle_int8.flows.server.lifecycle.cancellation import end_in_prefect
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.process import temporary
from paddle_int8.tasks.store import folder as store
from paddle_int8.tasks.tracking import runs
from paddle_int8.tasks.tracking.open_releases import lost

MESSAGE = "its process was killed; ended by a later release"


def clear_up(current_flow_run_id: str | None) -> None:
    """Ends the runs of releases whose process is dead, and removes their unfinished and temporary folders.

    A flow run keeps its state if Prefect has already ended it, or if it is `current_flow_run_id`, which
    Prefect started again.
    """
    settings = Settings()
    store.sweep(settings.store)
    temporary.sweep()
    # If MLflow does not answer, the first step of the release says so.
    with suppress(PipelineError), lost(settings.root) as releases:
        for release in releases:
            runs.end_lost(settings.tracking_uri, release, MESSAGE)
            if release.flow_run_id != current_flow_run_id:
                _crash(UUID(release.flow_run_id))


def _crash(flow_run_id: UUID) -> None:
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(flow_run_id)
        except ObjectNotFound:  # another Prefect server has it
            return
        if run.state is not None and run.state.is_running():
            end_in_prefect(client, flow_run_id, Crashed(message=MESSAGE))
