"""Where the candidates of a release are built: in threads of the flow's host, or on a Dask cluster.

Only quantizing and converting fan out. What measures time runs on the flow's host, one at a time. Prefect
fixes a flow's task runner in its decorator; the configuration is known only inside the flow, so the runner
that it asks for starts there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from paddle_int8.tasks.config.release import FanOut
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.steps.prefect_private import submitting_to
from paddle_int8.tasks.tracking.connection import redact

CONNECT_S = 10
ADDRESS = "PADDLE_INT8_DASK_SCHEDULER"


@contextmanager
def fanned_out(asked: FanOut | None) -> Iterator[None]:
    """Has the flow submit its tasks to what the configuration asks for, or else to what the environment has.

    Raises: ConfigError when Dask is asked for, and there is no address, no answer, or no prefect-dask.
    """
    settings = Settings()
    address = settings.dask_scheduler
    with ExitStack() as started:
        if asked is FanOut.DASK or (asked is None and address is not None):
            runner = started.enter_context(_cluster(address))
        else:
            runner = started.enter_context(ThreadPoolTaskRunner(max_workers=settings.parallel_candidates))
        started.enter_context(submitting_to(runner))
        yield


@contextmanager
def _cluster(address: str | None) -> Iterator[TaskRunner[Any]]:
    if address is None:
        raise ConfigError(
            found=f"`task_runner: dask`, and no {ADDRESS}",
            required="the address of a Dask scheduler",
            remedy=f"set {ADDRESS}=tcp://host:8786 where the flow runs, or take `task_runner` out",
        )
    try:
        from distributed.comm.core import connect
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise ConfigError(
            found=f"a Dask cluster is asked for, and no prefect-dask: {error}",
            required="prefect-dask",
            remedy=f"install paddle-int8[server], or take `task_runner` and {ADDRESS} out",
        ) from error

    async def greet() -> None:
        """Dask's own client waits for ever for one who takes its connection and says nothing."""
        greeting: Any = connect
        (await asyncio.wait_for(greeting(address, timeout=CONNECT_S), CONNECT_S)).abort()

    try:
        asyncio.run(greet())
    except (OSError, ValueError) as error:
        raise ConfigError(
            found=f"no Dask scheduler at {redact(address)}: {str(error) or 'no word of it'}",
            required=f"one that answers within {CONNECT_S} s",
            remedy=f"start `dask scheduler`, or correct {ADDRESS}",
        ) from error
    with DaskTaskRunner(address=address) as runner:
        yield runner
