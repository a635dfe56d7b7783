"""Where the candidates of a release are built: in threads of the flow's host, or on a Dask cluster.

Only quantizing and converting fan out. What measures time runs on the flow's host, one at a time.
"""

from __future__ import annotations

from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from tasks.errors import ConfigError
from tasks.settings import Settings


def task_runner(settings: Settings) -> TaskRunner[Any]:
    """Raises: ConfigError when a Dask scheduler is set and prefect-dask is not installed."""
    if settings.dask_scheduler is None:
        return ThreadPoolTaskRunner(max_workers=settings.parallel_candidates)
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise ConfigError(
            found=f"PADDLE_INT8_DASK_SCHEDULER, and no prefect-dask: {error}",
            required="prefect-dask",
            remedy="install paddle-int8[server], or unset the variable",
        ) from error
    runner: TaskRunner[Any] = DaskTaskRunner(address=settings.dask_scheduler)
    return runner
