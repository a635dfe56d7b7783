"""Opens and closes the records of a release in MLflow and Prefect, however the release ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from prefect.runtime import flow_run

from paddle_int8.flows.server.fan_out import fanned_out
from paddle_int8.flows.server.lifecycle.cancellation import cancelled_with_the_program, on_cancel
from paddle_int8.flows.server.lifecycle.killed_releases import clear_up
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.process import isolated
from paddle_int8.tasks.tracking import runs
from paddle_int8.tasks.tracking.open_releases import OpenRelease, under_way
from paddle_int8.tasks.tracking.runs import RunStatus
from paddle_int8.tasks.tracking.task import close_run, open_run


@contextmanager
def begun(config: ReleaseConfig) -> Iterator[str]:
    """Begins a release and gives the id of its MLflow run. The release ends with the context.

    First, what killed releases left behind is cleared up. At the end, the MLflow run is ended; when the
    program is cancelled, so is the flow run in Prefect.
    """
    opened = OpenRelease(name=config.name, flow_run_id=str(flow_run.id))
    with (
        fanned_out(config.task_runner),
        _under_way(opened),
        cancelled_with_the_program(flow_run.id),
        mlflow_run(config) as run_id,
    ):
        yield run_id


@contextmanager
def mlflow_run(config: ReleaseConfig) -> Iterator[str]:
    """Opens the parent run in MLflow. It ends as FINISHED, FAILED after an error, or KILLED by the user."""
    run_id = open_run(config)
    forget = on_cancel(lambda: runs.finish(Settings().tracking_uri, run_id, RunStatus.KILLED))
    try:
        yield run_id
    except Exception as error:
        with suppress(PipelineError):  # the error that came first is the one to show
            close_run(run_id, RunStatus.FAILED, str(error))
        raise
    else:
        close_run(run_id, RunStatus.FINISHED)
    finally:
        forget()


@contextmanager
def _under_way(opened: OpenRelease) -> Iterator[None]:
    clear_up(flow_run.id)
    isolated.warm_up()
    with under_way(Settings().root, opened):
        yield
